import csv

import numpy as np
import pytest
from PIL import Image

from analysis.pictures.crops import Crop
from analysis.pictures.disagreement import tile_disagreement
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.pictures.picture_files import write_pictures

CLASSES = ("low_vegetation", "car")
COLORS = np.array([[0, 255, 255], [255, 255, 0]], dtype=np.uint8)


def make_crop(index: int = 1, *, variants: tuple[str, ...] = ("unet", "urec"), side: int = 8):
    """A crop whose reference is of one class, got right by the second variant alone."""
    reference = np.full((side, side), index, np.uint8)
    reference[0] = 255
    wrong = np.full((side, side), 1 - index, np.uint8)
    maps = {v: wrong if i == 0 else reference % 255 for i, v in enumerate(variants)}
    maps = {v: np.where(reference == 255, 0, m).astype(np.uint8) for v, m in maps.items()}
    rebuilt = {v: np.full((side, side, 3), 9, np.uint8) for v in variants if v != "unet"}
    return CropPictures(
        crop=Crop(
            class_index=index, tile="area 1", top_px=16, left_px=32, side_px=side,
            num_first_px=0, num_second_px=side * (side - 1),
        ),
        class_name=CLASSES[index], num_class_px=side * (side - 1),
        image=np.full((side, side, 3), 200, np.uint8), reference=reference, predicted=maps,
        reconstructed=rebuilt,
    )  # fmt: skip


def make_section(crops=None, *, kinds=None, variants=("unet", "urec"), num_tiles: int = 1):
    if kinds is None:
        kinds = np.array([[0, 0, 0, 1], [2, 2, 3, 4]], np.uint8)
    tiles = [tile_disagreement(f"area{i}", np.roll(kinds, i), 280) for i in range(num_tiles)]
    fraction = FractionPictures(
        label_frac=0.01, seed=1, variants=variants, pair=variants[:2], tiles=tuple(tiles),
        crops=(make_crop(variants=variants),) if crops is None else tuple(crops),
    )  # fmt: skip
    return PictureSection(classes=CLASSES, colors=COLORS, fractions=(fraction,), num_left_out=0)


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sheets_and_tables(tmp_path) -> None:
    written = write_pictures(make_section(num_tiles=2), tmp_path / "figures")
    assert [path.name for path in written] == [
        "pictures_f0.01.png", "reconstructions_f0.01.png", "disagreement_f0.01.png",
        "crops.csv", "disagreement.csv",
    ]  # fmt: skip
    assert set(written) == set((tmp_path / "figures").iterdir())
    for path in written[:3]:
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_a_row_per_crop_and_variant(tmp_path) -> None:
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


def test_a_row_per_tile_whose_pixels_sum_to_the_tile(tmp_path) -> None:
    *_, table = write_pictures(make_section(num_tiles=14), tmp_path)
    found = rows(table)
    assert [row["tile"] for row in found] == [f"area{i}" for i in range(14)]
    for row in found:
        assert [row["first"], row["second"]] == ["unet", "urec"]
        assert [int(row[f"{kind}_px"]) for kind in (
            "both_right", "first_alone_right", "second_alone_right", "both_wrong", "no_reference",
        )] == [3, 1, 2, 1, 1]  # fmt: skip


def test_without_crops_only_the_maps_of_tiles(tmp_path) -> None:
    written = write_pictures(make_section([]), tmp_path)
    assert [path.name for path in written] == ["disagreement_f0.01.png", "disagreement.csv"]


@pytest.mark.parametrize("num_tiles", [1, 13])
def test_written_twice_they_are_the_same(tmp_path, num_tiles: int) -> None:
    section = make_section(num_tiles=num_tiles)
    first = {path.name: path.read_bytes() for path in write_pictures(section, tmp_path / "a")}
    again = {path.name: path.read_bytes() for path in write_pictures(section, tmp_path / "b")}
    assert first == again
