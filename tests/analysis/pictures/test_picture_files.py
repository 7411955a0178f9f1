import csv

import pytest
from PIL import Image

from analysis.pictures.picture_files import write_pictures


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sheets_and_tables(tmp_path, make_section) -> None:
    written = write_pictures(make_section(num_tiles=2), tmp_path / "figures")
    assert [path.name for path in written] == [
        "pictures_f0.01.png", "reconstructions_f0.01.png", "disagreement_f0.01.png",
        "crops.csv", "disagreement.csv",
    ]  # fmt: skip
    assert set(written) == set((tmp_path / "figures").iterdir())
    for path in written[:3]:
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_a_row_per_crop_and_variant(tmp_path, make_section) -> None:
    variants = ("unet", "urec-all", "urec-annotated")
    *_, crops, _ = write_pictures(make_section(variants=variants), tmp_path)
    assert [(row["variant"], row["alone_right_px"], row["wrong_px"]) for row in rows(crops)] == [
        ("unet", "0", "56"), ("urec-all", "56", "0"), ("urec-annotated", "", "0"),
    ]  # fmt: skip
    first = rows(crops)[0]
    assert (first["class"], first["tile"]) == ("car", "area 1")
    assert [first[key] for key in ("label_frac", "seed", "top_px", "left_px", "side_px")] == [
        "0.01", "1", "16", "32", "8",
    ]  # fmt: skip


def test_a_row_per_tile_whose_pixels_sum_to_the_tile(tmp_path, make_section) -> None:
    *_, table = write_pictures(make_section(num_tiles=14), tmp_path)
    found = rows(table)
    assert [row["tile"] for row in found] == [f"area{i}" for i in range(14)]
    for row in found:
        assert [row["first"], row["second"]] == ["unet", "urec"]
        assert [int(row[f"{kind}_px"]) for kind in (
            "both_right", "first_alone_right", "second_alone_right", "both_wrong", "no_reference",
        )] == [3, 1, 2, 1, 1]  # fmt: skip


def test_without_crops_only_the_maps_of_tiles(tmp_path, make_section) -> None:
    written = write_pictures(make_section([]), tmp_path)
    assert [path.name for path in written] == ["disagreement_f0.01.png", "disagreement.csv"]


@pytest.mark.parametrize("num_tiles", [1, 13])
def test_written_twice_they_are_the_same(tmp_path, num_tiles: int, make_section) -> None:
    section = make_section(num_tiles=num_tiles)
    first = {path.name: path.read_bytes() for path in write_pictures(section, tmp_path / "a")}
    again = {path.name: path.read_bytes() for path in write_pictures(section, tmp_path / "b")}
    assert first == again
