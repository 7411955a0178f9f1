"""Headers of tiny real files: each mistake has its one message, and sound data has none."""

import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from trainables.data.decoding.inspection import Inspection, TileHeader, inspect_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import ClassSpec, DatasetSpec, TileFiles
from trainables.data.places.footprints import Footprint, find_overlaps
from trainables.errors import DataError

UTM = "EPSG:32633"
SIDE = 8
GSD = 0.5
LEFT, TOP = 500_000.0, 5_400_000.0

YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: {train: [a*], val: [b*], test: [c*]}
"""


def place(column: float = 0, row: float = 0, gsd: float = GSD, angle: float = 0) -> Affine:
    """A transform whose origin is so many pixels right of and below a common point."""
    base = Affine.translation(LEFT, TOP) @ Affine.rotation(angle) @ Affine.scale(gsd, -gsd)
    return base @ Affine.translation(column, row)


def write(file: Path, bands=3, height=SIDE, width=SIDE, dtype="uint8", **georeference) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    profile = {"count": bands, "height": height, "width": width, "dtype": dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(file, "w", driver="GTiff", **profile, **georeference) as target:
            target.write(np.ones((bands, height, width), dtype=dtype))
    return file


def write_tile(folder: Path, name: str, image=None, mask=None, **both) -> TileFiles:
    """Image and mask; options of `write`."""
    return TileFiles(
        name=name,
        image=write(folder / f"images/{name}.tif", **({**both, **(image or {})})),
        mask=write(folder / f"masks/{name}.tif", **({**both, "bands": 1, **(mask or {})})),
    )


def spec_of(*tiles: TileFiles) -> DatasetSpec:
    """Tiles a… in train, b… in val, c… in test."""
    return DatasetSpec(
        name="tiny",
        bands=("red", "green", "blue"),
        classes=(
            ClassSpec(name="land", color=(0, 0, 0), value=0),
            ClassSpec(name="water", color=(1, 1, 1), value=1),
        ),
        splits={
            split: tuple(tile for tile in tiles if tile.name.startswith(letter))
            for split, letter in (("train", "a"), ("val", "b"), ("test", "c"))
        },
    )


def with_first(folder: Path, first: TileFiles) -> DatasetSpec:
    """A data set whose other tiles are sound and far away."""
    return spec_of(
        first,
        write_tile(folder, "b", crs=UTM, transform=place(1000)),
        write_tile(folder, "c", crs=UTM, transform=place(2000)),
    )


def only_problem(inspection: Inspection) -> str:
    (problem,) = inspection.problems
    assert "\n" not in problem
    return problem


def test_sound_data_has_headers_and_no_problems(tmp_path):
    tiles = [write_tile(tmp_path, name, height=5, width=7) for name in ("a1", "a2", "b", "c")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inspection = inspect_dataset(spec_of(*tiles), downsample=5)
    assert inspection.problems == ()
    assert [list(of_split) for of_split in inspection.headers.values()] == [
        ["a1", "a2"],
        ["b"],
        ["c"],
    ]
    assert inspection.headers["train"]["a1"] == TileHeader(
        files=tiles[0], height_px=5, width_px=7, dtype="uint8", may_hide=False
    )


@pytest.mark.parametrize("num_threads", [1, 4])
def test_png_and_jpeg(tmp_path, num_threads):
    tiles = []
    for name in "abc":
        picture = Image.fromarray(np.zeros((6, 9, 3), dtype=np.uint8))
        picture.save(tmp_path / f"{name}.jpg")
        picture.convert("P").save(tmp_path / f"{name}.png")
        files = (tmp_path / f"{name}.jpg", tmp_path / f"{name}.png")
        tiles.append(TileFiles(name=name, image=files[0], mask=files[1]))
    inspection = inspect_dataset(spec_of(*tiles), num_threads=num_threads)
    assert inspection.problems == ()
    header = inspection.headers["val"]["b"]
    assert (header.height_px, header.width_px, header.dtype) == (6, 9, "uint8")


def test_hidden_pixels_are_foreseen(tmp_path):
    tiles = [write_tile(tmp_path, "a", image={"nodata": 0}), write_tile(tmp_path, "b")]
    headers = inspect_dataset(spec_of(*tiles, write_tile(tmp_path, "c"))).headers
    assert [of_split[t].may_hide for of_split, t in zip(headers.values(), "abc", strict=True)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("image", "mask", "expected"),
    [
        ({"bands": 1}, {}, "image must have the 3 bands red, green, blue, got 1 in {image}"),
        (
            {"dtype": "complex64"},
            {},
            "image must hold whole or real numbers, got complex64 in {image}",
        ),
        (
            {"width": 9},
            {},
            "mask must have the size of its image, got 8 x 8 px for 9 x 8 px in {mask}",
        ),
        (
            {},
            {"crs": "EPSG:32632"},
            "mask must have the CRS of its image, got EPSG:32632 for EPSG:32633 in {mask}",
        ),
        (
            {},
            {"transform": place(0.6)},
            "mask must lie on the pixels of its image, got them up to 0.6 px apart in {mask}",
        ),
        ({}, {"transform": place(gsd=GSD * 1.1)}, "got them up to 0.8 px apart in {mask}"),
        ({}, {"transform": place(angle=90)}, "got them up to 16 px apart in {mask}"),
        # A world file places without a reference system.
        ({}, {"crs": None, "transform": place(300)}, "got them up to 300 px apart in {mask}"),
        (
            {"crs": None, "transform": place(300)},
            {"crs": None},
            "got them up to 300 px apart in {mask}",
        ),
    ],
)
def test_each_mistake_of_a_tile_has_one_message(tmp_path, image, mask, expected):
    tile = write_tile(tmp_path, "a", image, mask, crs=UTM, transform=place())
    inspection = inspect_dataset(with_first(tmp_path, tile))
    assert expected.format(image=tile.image, mask=tile.mask) in only_problem(inspection)
    assert [list(of_split) for of_split in inspection.headers.values()] == [[], ["b"], ["c"]]


@pytest.mark.parametrize(
    "mask",
    [
        {"transform": place(0.5, 0)},  # corner and middle of a pixel
        {"transform": place(0.5, -0.5)},
        {"transform": place(gsd=GSD * 1.01)},
        {"crs": None, "transform": place(0.5)},
        {"crs": None, "transform": Affine(2, 0, 0, 0, -2, 0)},  # as written without knowing it
        {"transform": Affine.identity()},
    ],
)
def test_mask_on_the_pixels_of_its_image(tmp_path, mask):
    tile = write_tile(tmp_path, "a", None, mask, crs=UTM, transform=place())
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()


def test_eroded_mask_is_checked_as_the_mask_is(tmp_path):
    tile = write_tile(tmp_path, "a", crs=UTM, transform=place())
    eroded = write(tmp_path / "e.tif", bands=1, width=9, crs="EPSG:4326", transform=place())
    tile = TileFiles(name="a", image=tile.image, mask=tile.mask, eroded_mask=eroded)
    size, crs = inspect_dataset(with_first(tmp_path, tile)).problems
    assert (
        f"eroded mask must have the size of its image, got 9 x 8 px for 8 x 8 px in {eroded}"
        in size
    )
    assert f"eroded mask must have the CRS of its image, got EPSG:4326 for {UTM} in {eroded}" in crs


@pytest.mark.parametrize("which", ["image", "mask", "eroded_mask"])
def test_file_that_is_missing_or_unreadable(tmp_path, which):
    tile = write_tile(tmp_path, "a", crs=UTM, transform=place())
    shutil.copy(tile.mask, tmp_path / "eroded.tif")
    eroded = tmp_path / "eroded.tif"
    spec = with_first(
        tmp_path, TileFiles(name="a", image=tile.image, mask=tile.mask, eroded_mask=eroded)
    )
    assert inspect_dataset(spec).problems == ()
    file = getattr(spec.splits["train"][0], which)
    file.write_bytes(b"no raster")
    problem = only_problem(inspect_dataset(spec))
    assert "file must be a readable raster" in problem
    assert str(file) in problem
    file.unlink()
    problem = only_problem(inspect_dataset(spec))
    name = which.replace("_", " ")
    assert problem.startswith(
        f"{name} must exist for every tile, got none for 'a' (train) in {file}"
    )


def test_tile_smaller_than_a_block(tmp_path):
    spec = with_first(tmp_path, write_tile(tmp_path, "a", height=3))
    assert inspect_dataset(spec, downsample=3).problems == ()
    problem = only_problem(inspect_dataset(spec, downsample=4))
    assert "at most the size of a tile, got 4 for 8 x 3 px in" in problem


def test_images_of_different_types(tmp_path):
    tiles = [write_tile(tmp_path, name) for name in ("a1", "b")]
    tiles += [write_tile(tmp_path, name, image={"dtype": "uint16"}) for name in ("a2", "b2", "c")]
    inspection = inspect_dataset(spec_of(*tiles))
    problem = only_problem(inspection)
    assert problem.startswith(
        "images must all have the same type (all but uint8 and uint16 are read as float32), got "
        f"uint8 in {tiles[0].image} and 1 more, "
        f"uint16 in {tiles[2].image} and 2 more"
    )
    assert {header.dtype for of in inspection.headers.values() for header in of.values()} == {
        "uint16"
    }


def test_same_image_in_two_splits(tmp_path):
    tile = write_tile(tmp_path, "a", crs=UTM, transform=place())
    link = tmp_path / "images/c.tif"
    spec = spec_of(
        tile,
        write_tile(tmp_path, "b", crs=UTM, transform=place(1000)),
        TileFiles(name="c", image=link, mask=tile.mask),
    )
    link.symlink_to(tile.image)
    problem = only_problem(inspect_dataset(spec))
    assert (
        f"splits must hold each image once, got 'a' (train) and 'c' (test) in {tile.image}"
        in problem
    )


def overlaps(tmp_path: Path, first: dict, second: dict) -> tuple[str, ...]:
    tiles = [write_tile(tmp_path, "a", **first), write_tile(tmp_path, "b", **second)]
    far = write_tile(tmp_path, "c", crs=UTM, transform=place(5000))
    problems = inspect_dataset(spec_of(*tiles, far)).problems
    assert all("splits must not share ground" in problem for problem in problems)
    return problems


def test_overlap_names_files_splits_and_area(tmp_path):
    (problem,) = overlaps(
        tmp_path, {"crs": UTM, "transform": place()}, {"crs": UTM, "transform": place(5, 4)}
    )
    assert "got an overlap of 12 px (18.75% of the first) in" in problem
    for part in ("images/a.tif (train) and", "images/b.tif (val);"):
        assert part in problem


@pytest.mark.parametrize("angle", [0, 30, 45, -100])
@pytest.mark.parametrize(
    ("offset", "is_overlap"),
    [((8, 0), 0), ((7, 0), 0), ((0, -7), 0), ((8, 8), 0), ((-9, 3), 0), ((6, 0), 1), ((-6, 6), 1)],
)
def test_touching_tiles_are_no_overlap(tmp_path, angle, offset, is_overlap):
    first = {"crs": UTM, "transform": place(angle=angle)}
    second = {"crs": UTM, "transform": place(*offset, angle=angle)}
    assert len(overlaps(tmp_path, first, second)) == is_overlap


@pytest.mark.parametrize(("offset_m", "is_overlap"), [(2.0, 0), (0.8, 1)])
def test_diamond_at_the_corner_of_a_square(tmp_path, offset_m, is_overlap):
    # Bounding boxes meet up to 2.8 m, the tiles up to 1.4 m.
    center = Affine.translation(LEFT + 4 + offset_m, TOP + offset_m) @ Affine.rotation(45)
    diamond = center @ Affine.scale(GSD, -GSD) @ Affine.translation(-SIDE / 2, -SIDE / 2)
    square, other = {"crs": UTM, "transform": place()}, {"crs": UTM, "transform": diamond}
    assert len(overlaps(tmp_path, square, other)) == is_overlap
    assert len(overlaps(tmp_path, other, square)) == is_overlap


def test_tile_inside_a_coarser_one(tmp_path):
    first = {"crs": UTM, "transform": place()}
    second = {"crs": UTM, "transform": place(-2, -2, gsd=GSD * 4)}
    (problem,) = overlaps(tmp_path, first, second)
    assert "64 px (100.00% of the first)" in problem
    beside = {"crs": UTM, "transform": place(1.1, 0, gsd=GSD * 4)}  # 3.6 of its fine pixels
    assert overlaps(tmp_path, first, beside) == ()


def elsewhere(crs: str, column: float, row: float) -> dict:
    """A tile of another CRS, upright there, of about the same size; origin in pixels of a."""
    x, y = place() @ (column, row)
    (left, right), (top, _) = transform_points(UTM, crs, [x, x + SIDE * GSD], [y, y])
    _, (_, bottom) = transform_points(UTM, crs, [x, x], [y, y - SIDE * GSD])
    transform = Affine.translation(left, top) @ Affine.scale(
        (right - left) / SIDE, (bottom - top) / SIDE
    )
    return {"crs": crs, "transform": transform}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:25833", "EPSG:32632"])
@pytest.mark.parametrize("swapped", [False, True])
def test_other_crs_of_the_same_place(tmp_path, crs, swapped):
    first = {"crs": UTM, "transform": place()}
    for (column, row), expected in [((4, 0), 1), ((0, 4), 1), ((8, 0), 0), ((0, 9), 0)]:
        second = elsewhere(crs, column, row)
        pair = (second, first) if swapped else (first, second)
        assert len(overlaps(tmp_path, *pair)) == expected, (column, row)


def test_tiles_in_degrees(tmp_path):
    degrees = {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 15, 0, -1e-5, 48)}
    right = {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 15 + 8e-5, 0, -1e-5, 48)}
    over = {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, 15 + 4e-5, 0, -1e-5, 48)}
    assert overlaps(tmp_path, degrees, right) == ()
    (problem,) = overlaps(tmp_path, degrees, over)
    assert "32 px (50.00% of the first)" in problem


def test_overlap_within_a_split_and_without_georeference_is_allowed(tmp_path):
    tiles = [write_tile(tmp_path, name, crs=UTM, transform=place()) for name in ("a1", "a2")]
    tiles += [write_tile(tmp_path, "b"), write_tile(tmp_path, "c", crs=UTM)]
    assert inspect_dataset(spec_of(*tiles)).problems == ()


def test_overlap_area_against_counted_pixels():
    rng, crs = np.random.default_rng(3), CRS.from_string(UTM)
    for _ in range(30):
        angle, shift = rng.uniform(0, 360), rng.uniform(-60, 60, 2)
        first = Footprint(crs=crs, transform=place(), height_px=80, width_px=100)
        second = Footprint(
            crs=crs, transform=place(*shift) @ Affine.rotation(angle), height_px=70, width_px=90
        )
        # Middles of the pixels of the first, in pixels of the second.
        rows, columns = np.mgrid[0:80, 0:100] + 0.5
        column, row = (~second.transform @ first.transform) @ (columns, rows)
        counted = np.count_nonzero((column > 0) & (column < 90) & (row > 0) & (row < 70))
        found = sum(one.pixels for one in find_overlaps([first, second], ["train", "val"]))
        assert found == pytest.approx(counted, abs=60)


def test_problems_of_all_tiles_come_together(tmp_path):
    tiles = [
        write_tile(tmp_path, "a1", mask={"width": 5}, crs=UTM, transform=place()),
        write_tile(tmp_path, "a2", image={"bands": 2}),
        write_tile(tmp_path, "b1", crs=UTM, transform=place(1)),
        write_tile(tmp_path, "b2", image={"dtype": "uint16"}),
        write_tile(tmp_path, "c1"),
        write_tile(tmp_path, "c2"),
    ]
    tiles[1].mask.unlink()
    tiles[4].image.unlink()
    tiles[5].mask.write_bytes(b"no raster")
    inspection = inspect_dataset(spec_of(*tiles))
    starts = [" ".join(problem.split()[:4]) for problem in inspection.problems]
    assert starts == [
        "mask must have the",
        "image must have the",
        "mask must exist for",
        "image must exist for",
        "file must be a",
        "images must all have",
        "splits must not share",
    ]
    assert [list(of_split) for of_split in inspection.headers.values()] == [[], ["b1"], []]


def test_partners_missing_from_a_folder_are_listed_together(tmp_path):
    tiles = {name: write_tile(tmp_path, name) for name in ("a1", "a2", "b", "c", "d")}
    (tmp_path / "dataset.yaml").write_text(YAML)
    assert inspect_dataset(load_dataset(tmp_path)).problems == ()
    tiles["a1"].mask.unlink()
    tiles["b"].image.unlink()
    tiles["d"].image.unlink()  # in no split
    mask, image = inspect_dataset(load_dataset(tmp_path)).problems
    assert (
        f"mask must exist for every tile, got none for 'a1' (train) in {tiles['a1'].mask}" in mask
    )
    assert f"image must exist for every tile, got none for 'b' (val) in {tiles['b'].image}" in image
    for name in ("a2", "c"):
        tiles[name].mask.unlink()
    with pytest.raises(DataError, match="masks must exist for every tile, got none for 'masks/"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["dataset.yaml", "dataset-within-area.yaml"])
def test_dubai_is_sound(name):
    default = Path(__file__).parents[5] / "shared/data/dubai"
    folder = Path(os.environ.get("UREC_STUDY_DATA", default))
    if not (folder / name).is_file():
        pytest.skip(f"no Dubai imagery in {folder}; set UREC_STUDY_DATA to its folder")
    inspection = inspect_dataset(load_dataset(folder / name))
    assert inspection.problems == ()
    assert sum(map(len, inspection.headers.values())) == 72


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("EPSG:25832", "+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs"),
        ("EPSG:25832+7837", "EPSG:25832"),
        ("EPSG:32632", "EPSG:32632+4979"),
        ("EPSG:32632", "EPSG:25832"),  # 0.1 mm apart here
        ('LOCAL_CS["site",UNIT["metre",1]]', 'LOCAL_CS["Unknown",UNIT["metre",1]]'),
        ('LOCAL_CS["Unknown",UNIT["metre",1]]', "EPSG:32632"),
    ],
)
def test_systems_are_the_same_if_they_say_the_same_place(tmp_path, image, mask):
    tile = write_tile(tmp_path, "a", {"crs": image}, {"crs": mask}, transform=place())
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()


def test_systems_that_differ_in_their_datum_are_refused(tmp_path):
    shifted = "+proj=utm +zone=32 +ellps=GRS80 +towgs84=300,0,0,0,0,0,0 +units=m +no_defs"
    tile = write_tile(tmp_path, "a", {"crs": "EPSG:25832"}, {"crs": shifted}, transform=place())
    problem = only_problem(inspect_dataset(with_first(tmp_path, tile)))
    assert "mask must have the CRS of its image, got " in problem
    assert "for EPSG:25832 in " in problem


def points(column=0.0, row=0.0, bend=0.0):
    """Ground control points of an image whose upper left corner lies there."""
    return [
        GroundControlPoint(
            row=r, col=c, x=LEFT + GSD * (column + c) + bend * c * r, y=TOP - GSD * (row + r)
        )
        for r in (0, SIDE / 2, SIDE)
        for c in (0, SIDE / 2, SIDE)
    ]


@pytest.mark.parametrize("bend", [0.0, 0.2])
def test_ground_control_points_place_an_image(tmp_path, bend):
    """Also if no transform fits them exactly."""
    image = {"gcps": points(bend=bend), "crs": UTM}
    tile = write_tile(tmp_path, "a", image, image)
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()
    tile = write_tile(tmp_path, "a", image, {"gcps": points(100, bend=bend), "crs": UTM})
    problem = only_problem(inspect_dataset(with_first(tmp_path, tile)))
    assert "mask must lie on the pixels of its image, got them up to " in problem


def test_ground_control_points_beside_a_transform(tmp_path):
    image = {"gcps": points(), "crs": UTM}
    tile = write_tile(tmp_path, "a", image, {"crs": UTM, "transform": place()})
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()


def test_ground_control_points_in_two_splits(tmp_path):
    tiles = [
        write_tile(tmp_path, name, crs=UTM, gcps=points(column))
        for name, column in (("a", 0), ("b", SIDE), ("c", 4))
    ]
    problems = inspect_dataset(spec_of(*tiles)).problems
    assert all("splits must not share ground" in problem for problem in problems)
    assert len(problems) == 2  # c lies on half of each; a and b side by side


def test_too_few_ground_control_points_place_nothing(tmp_path):
    tile = write_tile(tmp_path, "a", {"gcps": points()[:2], "crs": UTM}, None)
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()


@pytest.mark.parametrize("second", [None, UTM])
def test_world_files_without_a_system_in_two_splits(tmp_path, second):
    """They count among each other, and beside images that are all of one system."""
    problem, *others = overlaps(
        tmp_path, {"transform": place()}, {"crs": second, "transform": place(5, 4)}
    )
    assert not others
    assert f"got an overlap of 12 px (18.75% of the first) in {tmp_path}" in problem


def test_images_that_know_no_place_all_begin_at_0(tmp_path):
    """Programs write such transforms for arrays that were never placed."""
    tiles = [write_tile(tmp_path, name, transform=Affine(1, 0, 0, 0, -1, 0)) for name in "ab"]
    tiles.append(write_tile(tmp_path, "c", transform=Affine(1, 0, 0, 0, -1, SIDE)))
    assert inspect_dataset(spec_of(*tiles)).problems == ()


def test_turned_images_are_told_of_and_compared_as_shown(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    tiles = []
    for name, mask_size in (("a", (6, 9)), ("b", (6, 9)), ("c", (9, 6))):
        image, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_m.png"
        Image.new("RGB", (9, 6)).save(image, exif=exif)
        Image.new("L", mask_size).save(mask)
        tiles.append(TileFiles(name=name, image=image, mask=mask))
    inspection = inspect_dataset(spec_of(*tiles))
    assert (
        "mask must have the size of its image, got 9 x 6 px for 6 x 9 px (as its EXIF orientation "
        f"shows it) in {tmp_path / 'c_m.png'}"
    ) in only_problem(inspection)
    (note,) = inspection.notes
    assert note.startswith(
        f"3 files are turned upright as their EXIF orientation says, first {tmp_path / 'a.png'}"
    )
    header = inspection.headers["train"]["a"]
    assert (header.height_px, header.width_px) == (9, 6)


def test_types_that_are_read_as_float32_go_together(tmp_path):
    dtypes = {"a1": "int16", "a2": "float64", "b": "float32", "c": "int32"}
    tiles = [write_tile(tmp_path, name, image={"dtype": one}) for name, one in dtypes.items()]
    inspection = inspect_dataset(spec_of(*tiles))
    assert inspection.problems == ()
    assert {header.dtype for of in inspection.headers.values() for header in of.values()} == {
        "float32"
    }


def test_two_spellings_of_one_system_and_a_world_file_share_ground(tmp_path):
    """The file without a system was compared with nothing."""
    tiles = [
        write_tile(tmp_path, "a", crs="EPSG:32632", transform=place()),
        write_tile(tmp_path, "b", crs="EPSG:32632+5773", transform=place(1000)),
        write_tile(tmp_path, "c", transform=place(4, 4)),
    ]
    problem = only_problem(inspect_dataset(spec_of(*tiles)))
    assert f"got an overlap of 16 px (25.00% of the first) in {tiles[0].image}" in problem


@pytest.mark.parametrize(("gap_m", "overlaps"), [(-200.0, True), (60.0, False)])
def test_edges_that_another_system_bends_are_compared_as_they_are(gap_m, overlaps):
    """Of 110 km, the middle of a parallel lies 200 m beside the straight line between its ends."""
    utm, degrees = CRS.from_epsg(32632), CRS.from_epsg(4326)
    # A parallel, the lower edge of the upper image, in the system of the lower one.
    longitudes = np.linspace(8.3, 9.7, 101)
    _, y = transform_points(degrees, utm, longitudes, np.full(101, 50.0))
    low, high = min(y), max(y)
    assert high - low > 100
    upper = Footprint(
        crs=degrees,
        transform=Affine(1.4 / 1000, 0, 8.3, 0, -1.4 / 1000, 50.0 + 1.4 / 10),
        height_px=100,
        width_px=1000,
    )
    # Its middle lies lowest; an image below it that is narrow meets only that.
    lower = Footprint(
        crs=utm,
        transform=Affine(10, 0, 495_000, 0, -10, low - gap_m),
        height_px=500,
        width_px=1000,
    )
    found = list(find_overlaps([lower, upper], ["train", "val"]))
    assert bool(found) == overlaps
    if overlaps:
        assert found[0].pixels == pytest.approx(1000 * 20, rel=0.1)


def test_a_place_that_is_not_finite_is_none(tmp_path):
    places = ((0, 0), (0, 8), (8, 8))
    nowhere = [GroundControlPoint(row=r, col=c, x=float("nan"), y=1.0) for r, c in places]
    tile = write_tile(tmp_path, "a", {"gcps": nowhere, "crs": UTM}, None)
    assert inspect_dataset(with_first(tmp_path, tile)).problems == ()


def test_nodata_that_images_cannot_hold_is_refused(tmp_path):
    spec = with_first(tmp_path, write_tile(tmp_path, "a", crs=UTM, transform=place()))
    spec = replace(spec, nodata=(0.0, None, -9999.0))
    problem = only_problem(inspect_dataset(spec))
    assert "nodata must be values that uint8 images can hold, got -9999" in problem
