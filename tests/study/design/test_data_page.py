"""The page that shows a data set before anything is trained."""

import re

import pytest

import run_study
from study.design.data_page import inspect_data
from trainables.errors import DataError


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style.*?</style>", "", page)))


def test_the_page_has_tiles_classes_and_budgets_and_nothing_else_is_written(make_config):
    config = make_config(space="w1,label_frac=0.25/1", seeds=2)
    path = inspect_data(config)
    assert path.name == f"{config.name}-data.html"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    page = path.read_text()
    said = text_of(page)
    assert "4 training, 1 validation and 2 test tiles" in said
    assert "land water wood" in said
    assert re.search(r"training 30,720 (\d+\.\d\d % ){3}0\.00 %", said), said
    assert re.search(r"100 % 100 % 30,720", said)
    assert page.count("data:image/png") == 2, "a picture of each budget"
    assert page.count("data:image/jpeg") == 7, "every tile"
    assert "<svg" not in page, "tiles without a place have no map"
    assert "http" not in page.replace("http://www.w3.org", "")


def test_what_is_odd_and_what_is_unlabelled_is_said(make_config, write_dataset, tmp_path):
    folder = write_dataset(tmp_path / "more", unlabelled=("a2",))
    text = (folder / "dataset.yaml").read_text().replace("[a*]", "[a1, a2]")
    (folder / "dataset.yaml").write_text(f"{text}unlabelled: images/{{tile}}.tif\n")
    config = make_config(data=str(folder), space="w1,label_frac=0.05/1", seeds=1, patch_px=32)
    said = text_of(inspect_data(config).read_text())
    assert "2 tiles without annotations" in said
    assert "2 of 4 training tiles have no annotations" in said
    assert "2 tiles: without annotations" in said
    assert re.search(r"training 7,680 .* 75\.00 %", said), said


def test_data_that_cannot_be_used_are_one_line_and_no_page(make_config, write_dataset, tmp_path):
    folder = write_dataset(tmp_path / "broken", masks=False)
    config = make_config(data=str(folder))
    with pytest.raises(DataError):
        inspect_data(config)
    assert not list(tmp_path.glob("**/*-data.html"))


def test_the_command_prints_where_the_page_lies(tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_study.main(["--data", str(tiny_folder), "--preset", "smoke", "--inspect"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == ["studies/smoke-data-data.html"]
    assert (tmp_path / printed[0]).stat().st_size > 10_000
