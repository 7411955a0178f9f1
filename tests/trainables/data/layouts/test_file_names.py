"""Names that are no UTF-8, or of more than one line."""

import os
import sys

import pytest

from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.file_names import check_names, is_tellable, shown
from trainables.errors import DataError

BAD = [
    (os.fsdecode(b"a\xe9"), r"a\xe9"),
    ("a\nb", r"a\nb"),
    ("a\x1b[31m", r"a\x1b[31m"),
    ("a\u2028b", r"a\u2028b"),
    ("a\x7f", r"a\x7f"),
]
GOOD = [
    "grün",
    "gru\u0308n",
    "a b",
    "a\u00a0b",
    "क\u094dष",
    "a\u200cb",
    "50% #1 {a}?",
    "日本",
    "😀",
]


@pytest.mark.parametrize(("name", "escaped"), BAD)
def test_bad_names_are_shown_escaped_and_refused(name, escaped):
    assert shown(name) == escaped
    assert not is_tellable(name)
    with pytest.raises(DataError) as caught:
        check_names(["/x/y", f"/data/{name}/b.tif"], "file")
    message = str(caught.value)
    assert f"got '/data/{escaped}/b.tif'; rename '{escaped}'" in message
    message.encode()
    assert len(message.splitlines()) == 1


def test_a_locale_without_utf_8_is_not_blamed_on_the_name(monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(DataError, match=r"got 'gr\\xc3\\xbcn'; set PYTHONUTF8=1, or rename"):
        check_names(["gr\udcc3\udcbcn"], "file")


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_left_alone(name):
    assert shown(name) == name
    assert is_tellable(name)
    check_names([name], "file")


YAML = """\
name: tiny
bands: [red]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: {train: ['a*'], val: [b], test: [c]}
"""


def write_tiles(folder, first, text=YAML):
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        for tile in (first, "b", "c"):
            (folder / kind / f"{tile}.tif").touch()
    (folder / "dataset.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(("name", "escaped"), BAD)
def test_a_tile_of_a_bad_name_was_a_traceback(name, escaped, tmp_path):
    with pytest.raises(DataError, match="file must have a name in UTF-8") as caught:
        load_dataset(write_tiles(tmp_path, name))
    assert f"rename '{escaped}.tif'" in str(caught.value)


@pytest.mark.parametrize(("name", "escaped"), BAD)
def test_a_folder_above_of_a_bad_name(name, escaped, tmp_path):
    folder = write_tiles(tmp_path / name / "data", "a")
    for given in (folder, folder / "dataset.yaml", folder / "none"):
        with pytest.raises(DataError, match="data must have a name in UTF-8") as caught:
            load_dataset(given)
        assert f"rename '{escaped}'" in str(caught.value)


def test_a_bad_name_in_no_split_is_in_nobodys_way(tmp_path):
    folder = write_tiles(tmp_path, "a")
    (folder / "images" / os.fsdecode(b"x\xe9\n.tif")).touch()
    assert [tile.name for tile in load_dataset(folder).splits["train"]] == ["a"]
    write_tiles(tmp_path / "other", "x\ny", YAML.replace("'a*'", "z"))
    with pytest.raises(DataError, match=r"no tile for 'z'.*x\\ny") as caught:
        load_dataset(tmp_path / "other")
    assert "\n" not in str(caught.value)
