"""The page that shows a data set before anything is trained."""

import re

import numpy as np
import pytest
import rasterio
from affine import Affine

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


def test_tiles_that_are_joined_are_counted_as_images_and_shown_as_one(make_config, tmp_path):
    """Two labelled chips and two without annotations beside them, and one for each other split."""
    noise = np.random.default_rng(0)
    for name, column, row in (
        ("a1", 0, 0), ("a2", 1, 0), ("b", 0, 2), ("c", 0, 4), ("u1", 2, 0), ("u2", 3, 0),
    ):  # fmt: skip
        for kind, top in (("images", 255), ("masks", 2)):
            (tmp_path / "chips" / kind).mkdir(parents=True, exist_ok=True)
            place = Affine.translation(5e5 + 32 * column, 5.3e6 - 32 * row) @ Affine.scale(1, -1)
            with rasterio.open(
                tmp_path / "chips" / kind / f"{name}.tif", "w", driver="GTiff", width=32,
                height=32, count=1, dtype="uint8", crs="EPSG:32632", transform=place,
            ) as target:  # fmt: skip
                target.write(noise.integers(0, top, (1, 32, 32)).astype(np.uint8))
    (tmp_path / "chips" / "dataset.yaml").write_text(
        "name: chips\nbands: [grey]\nimages: images/{tile}.tif\nmasks: masks/{tile}.tif\n"
        "unlabelled: images/{tile}.tif\njoin: true\n"
        "classes: [{name: land, value: 0}, {name: water, value: 1}]\n"
        "splits: {train: [a1, a2], val: [b], test: [c]}\n"
    )
    config = make_config(data=str(tmp_path / "chips"), space="w1,label_frac=0.5/1", seeds=1)
    page = inspect_data(config).read_text()
    said = text_of(page)
    assert "2 training, 1 validation and 1 test images" in said
    assert "2 images without annotations" in said
    assert "train 4 as 2, val 1 as 1, test 1 as 1" in said
    assert "1 tile: training" in said
    assert "a1-joined-2" in said
    assert "u1-joined-2" in said
    assert page.count("<polygon") == 6, "the map shows the images"
