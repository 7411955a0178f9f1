"""Equal names, however they are spelled, are one tile."""

import os
import unicodedata
from pathlib import Path

import pytest

from trainables.data.layouts.dataset_yaml.found_files import composed, find_files
from trainables.errors import DataError

NFC, NFD = "grün", unicodedata.normalize("NFD", "grün")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(pattern: str, base: Path) -> dict[str, str]:
    return {tile: os.path.relpath(file, base) for tile, file in find_files(pattern, base).items()}


def test_as_a_glob(tmp_path):
    touch(tmp_path, "i/a.tif", "i/b.tif", "i/a.tif.aux.xml", "i/._a.tif", "i/sub/c.tif", "i/.tif")
    assert found("i/{tile}.tif", tmp_path) == {"a": "i/a.tif", "b": "i/b.tif"}
    assert found(f"{tmp_path}//i/./{{tile}}.tif", tmp_path / "i") == {
        "a": "a.tif", "b": "b.tif"
    }  # fmt: skip
    assert found("../i/{tile}.tif", tmp_path / "i") == {"a": "a.tif", "b": "b.tif"}
    assert found("none/{tile}.tif", tmp_path) == {}
    assert found("i/.{tile}.tif", tmp_path) == {"_a": "i/._a.tif"}


def test_a_tile_in_several_places_of_the_pattern(tmp_path):
    touch(tmp_path, "a/a_a.tif", "a/b_b.tif", "b/b_b.TIF", "b/b_c.tif", "c/x.tif")
    assert found("{tile}/{tile}_{tile}.tif", tmp_path) == {"a": "a/a_a.tif", "b": "b/b_b.TIF"}
    assert found("{tile}/x.tif", tmp_path) == {"c": "c/x.tif"}


def test_brackets_and_stars_are_themselves(tmp_path):
    touch(tmp_path, "[1]/a*.tif", "1/b.tif", "[1]/b(1).tif")
    assert found("[1]/{tile}.tif", tmp_path) == {"a*": "[1]/a*.tif", "b(1)": "[1]/b(1).tif"}


def test_a_suffix_in_capitals_was_left_out_in_silence(tmp_path):
    touch(tmp_path, "i/a.TIF", "i/b.tif", "i/c.Tif", "j/a_RGB.TIF", "j/b_rgb.tif")
    assert found("i/{tile}.tif", tmp_path) == {"a": "i/a.TIF", "b": "i/b.tif", "c": "i/c.Tif"}
    assert found("i/{tile}.TIF", tmp_path).keys() == {"a", "b", "c"}
    assert found("j/{tile}_RGB.tif", tmp_path) == {"a": "j/a_RGB.TIF"}


def test_composed_and_decomposed_names_are_one(tmp_path):
    assert NFC != NFD
    assert composed(NFD) == NFC
    touch(tmp_path, f"{NFD}/{NFD}.TIF", f"{NFD}/{NFD}_{NFC}.png")
    for pattern in (f"{NFC}/{{tile}}.tif", f"{NFD}/{{tile}}.tif"):
        assert found(pattern, tmp_path) == {NFC: f"{NFD}/{NFD}.TIF"}
    assert found(f"{NFC}/{{tile}}_{{tile}}.png", tmp_path) == {NFC: f"{NFD}/{NFD}_{NFC}.png"}
    touch(tmp_path, f"masks/{NFC}/{NFD}.png")
    assert found(f"masks/{{tile}}/{NFC}.png", tmp_path) == {NFC: f"masks/{NFC}/{NFD}.png"}


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("a.tif", "a.TIF"), "{tile}.tif"),
        ((f"{NFC}.tif", f"{NFD}.tif"), "{tile}.tif"),
        (("a/x.tif", "a/x.TIF"), "{tile}/x.tif"),
        ((f"{NFC}/x.tif", f"{NFD}/x.tif"), "{tile}/x.tif"),
        ((f"{NFC}/a.tif", f"{NFD}/a.tif"), f"{NFC}/{{tile}}.tif"),
    ],
)
def test_two_files_that_are_one_tile_are_refused(names, pattern, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match="files must be one for each tile") as caught:
        find_files(pattern, tmp_path)
    assert all(f"{tmp_path}/{name}" in str(caught.value) for name in names)
    assert "\n" not in str(caught.value)


def test_capital_and_small_letters_of_a_name_are_two_tiles(tmp_path):
    touch(tmp_path, "a.tif", "A.tif")
    assert found("{tile}.tif", tmp_path) == {"a": "a.tif", "A": "A.tif"}
