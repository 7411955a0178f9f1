"""Data sets found on disk: dataset.yaml, ISPRS layouts, and every way they can be wrong."""

import dataclasses
import re
from pathlib import Path

import pytest

from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import ClassSpec, DatasetSpec, TileFiles, parse_color
from trainables.errors import DataError

COLOR_YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.png
classes:
  - {name: land, color: "#8429F6"}
  - {name: water, color: "#E2A929"}
ignore_colors: ["#000000"]
exclude_from_mean: [water]
gsd_m: 0.5
splits: {train: [a_*], val: [b_1], test: ["c_?"]}
"""
TILES = ("a_1", "a_2", "b_1", "c_1")


def write_folder(folder: Path, text: str = COLOR_YAML) -> Path:
    """A folder in the layout of COLOR_YAML; loading never opens the tiles, so they are empty."""
    for kind, suffix in (("images", "tif"), ("masks", "png")):
        (folder / kind).mkdir(parents=True)
        for tile in TILES:
            (folder / kind / f"{tile}.{suffix}").touch()
    (folder / "dataset.yaml").write_text(text)
    return folder


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names_of(spec: DatasetSpec) -> dict[str, list[str]]:
    return {split: [tile.name for tile in tiles] for split, tiles in spec.splits.items()}


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_yaml_fields_and_files(tmp_path):
    spec = load_dataset(write_folder(tmp_path))
    assert spec.name == "tiny"
    assert spec.bands == ("red", "green", "blue")
    assert spec.classes == (
        ClassSpec(name="land", color=(0x84, 0x29, 0xF6)),
        ClassSpec(name="water", color=(0xE2, 0xA9, 0x29)),
    )
    assert spec.ignore_colors == ((0, 0, 0),)
    assert spec.exclude_from_mean == ("water",)
    assert spec.gsd_m == 0.5
    assert not spec.has_index_masks
    assert names_of(spec) == {"train": ["a_1", "a_2"], "val": ["b_1"], "test": ["c_1"]}
    assert spec.splits["val"] == (
        TileFiles(name="b_1", image=tmp_path / "images/b_1.tif", mask=tmp_path / "masks/b_1.png"),
    )


def test_spelled_in_another_way_on_disk_and_in_the_file(tmp_path):
    """Such tiles were told to be missing, or left out by a pattern in silence."""
    composed, decomposed = "gr\u00fcn", "gru\u0308n"
    for names in ((composed, decomposed, decomposed), (decomposed, composed, composed)):
        folder = tmp_path / repr(names[0].isascii() or len(names[0]))
        in_file, image, mask = names
        touch(folder, f"images/{image}.TIF", f"masks/{mask}.png", f"eroded/{mask}.PNG")
        touch(folder, *(f"{one}/b.{end}" for one, end in FOLDERS))
        touch(folder, *(f"{one}/c.{end}" for one, end in FOLDERS))
        text = COLOR_YAML.replace("a_*", in_file).replace("b_1", "b").replace("c_?", "c")
        text += "eroded_masks: eroded/{tile}.png\n"
        (folder / "dataset.yaml").write_text(text, encoding="utf-8")
        spec = load_dataset(folder)
        assert names_of(spec) == {"train": [composed], "val": ["b"], "test": ["c"]}
        assert all(file.is_file() for file in spec.splits["train"][0].files)
        assert len(spec.splits["train"][0].files) == 3


FOLDERS = (("images", "tif"), ("masks", "png"), ("eroded", "png"))


def test_names_of_any_look_are_read_as_written(tmp_path):
    tiles = ("2_10", "001", "no", "1e3", "2021-05-01", "0x1F", "1:30")
    for tile in tiles:
        touch(tmp_path, f"images/{tile}.tif", f"masks/{tile}.png")
    text = (
        "name: 2_10\nbands: [1, no, 0x1F]\nimages: images/{tile}.tif\nmasks: masks/{tile}.png\n"
        "classes:\n- {name: 001, value: 0}\n- {name: yes, value: 010, color: ~}\n"
        "ignore_values: [255]\nexclude_from_mean: [001]\ngsd_m: 1e-1\neroded_masks:\n"
        "splits: {train: [2_10, 001, no, 1e3], val: [2021-05-01, 0x1F], test: [1:30]}\n"
    )
    (tmp_path / "dataset.yaml").write_text(text)
    spec = load_dataset(tmp_path)
    assert {tile for names in names_of(spec).values() for tile in names} == set(tiles)
    assert (spec.name, spec.bands) == ("2_10", ("1", "no", "0x1F"))
    assert [(one.name, one.value) for one in spec.classes] == [("001", 0), ("yes", 10)]
    assert (spec.ignore_values, spec.exclude_from_mean, spec.gsd_m) == ((255,), ("001",), 0.1)
    assert spec.splits["test"][0].eroded_mask is None
    told = (spec.name, *spec.bands, *(one.name for one in spec.classes), *spec.exclude_from_mean)
    assert {type(one) for one in told} == {str}  # what YAML can write again


def test_a_second_yaml_is_another_split_of_the_same_tiles(tmp_path):
    write_folder(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(COLOR_YAML.replace("train: [a_*], val: [b_1]", "train: [b_1], val: [a_*]"))
    assert names_of(load_dataset(other))["train"] == ["b_1"]
    assert names_of(load_dataset(tmp_path))["train"] == ["a_1", "a_2"]


def test_paths_are_absolute_whatever_the_working_directory(tmp_path, monkeypatch):
    write_folder(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert load_dataset(Path("data")) == load_dataset(tmp_path / "data")


def test_tile_name_may_occur_twice_in_a_pattern(tmp_path):
    text = COLOR_YAML.replace("images/{tile}.tif", "by_tile/{tile}/{tile}.tif")
    write_folder(tmp_path, text)
    touch(tmp_path, *(f"by_tile/{t}/{t}.tif" for t in TILES), "by_tile/a_3/other.tif")
    assert names_of(load_dataset(tmp_path))["train"] == ["a_1", "a_2"]


def test_eroded_masks_are_found_and_none_at_all_is_a_wrong_pattern(tmp_path):
    write_folder(tmp_path, COLOR_YAML + "eroded_masks: eroded/{tile}.png\n")
    touch(tmp_path, *(f"eroded/{tile}.png" for tile in TILES))
    assert load_dataset(tmp_path).splits["test"][0].eroded_mask == tmp_path / "eroded/c_1.png"
    for tile in TILES:
        (tmp_path / f"eroded/{tile}.png").unlink()
    assert re.search(r"eroded_masks must exist .* got none for 'eroded/", error_of(tmp_path))


def test_index_classes_get_a_fixed_palette_where_color_is_absent(tmp_path):
    text = re.sub('color: "#8429F6"', "value: 4", COLOR_YAML)
    text = re.sub('color: "#E2A929"', 'value: 7, color: "#102030"', text)
    text = text.replace('ignore_colors: ["#000000"]', "ignore_values: [255]")
    spec = load_dataset(write_folder(tmp_path, text))
    assert spec.has_index_masks
    assert [c.value for c in spec.classes] == [4, 7]
    assert spec.classes[1].color == (0x10, 0x20, 0x30)
    assert all(0 <= channel <= 255 for channel in spec.classes[0].color)
    assert spec.ignore_values == (255,)
    assert load_dataset(tmp_path) == spec


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("gsd_m: 0.5", "gsd: 0.5", r"keys must be known, got 'gsd' in .*yaml; valid: name, bands"),
        ("name: tiny\n", "", r"name must be given, got nothing in .*dataset.yaml"),
        ("name: tiny", "name: [7]", r"name must be text, got \['7'\] in .*; write it as text"),
        ("name: tiny", "name: ~", r"name must be given, got nothing in"),
        (
            "gsd_m: 0.5",
            "gsd_m: 0.5\nname: big",
            r"'name' twice in lines 1 and 11 in .*; remove one",
        ),
        ("land, color", "land, name: sea, color", r"'name' twice in line 6 in"),
        ("ignore_colors:", "\tignore_colors:", r"valid YAML.*; indent with spaces, not with tabs"),
        ("name: tiny", "name: !!int 3", r"valid YAML, got: could not determine a constructor"),
        ("name: tiny", 'name: "a\\nb"', r"name must be one line without control characters"),
        ("gsd_m: 0.5", "gsd_m: 0,5", r"gsd_m must be a number, got '0,5' in .*a point before"),
        ("gsd_m: 0.5", 'gsd_m: "0.5"', r"gsd_m must be a number, got '0.5' in"),
        ("gsd_m: 0.5", "gsd_m: .nan", r"gsd_m must be metres per pixel above 0, got nan"),
        ('color: "#8429F6"', "color: ", r"classes\[0\] must have a color or a value"),
        ("[red, green, blue]", "red", r"bands must be a list, got 'red' in"),
        ("[red, green, blue]", "[red, red]", r"bands must be distinct names.*dataset.yaml"),
        ("{tile}.tif", "x.tif", r"images must contain \{tile\}, got 'images/x.tif' in"),
        ("images/{tile}.tif", "'{tile}.jpg'", r"images must match .* '\{tile\}.jpg' in .*no such"),
        ("images/{tile}", "top/{tile}", r"looked in .*/top, a folder that does not exist"),
        ("{tile}.png", "{tile}.tif", r"masks must exist for every tile, got none for .* 3 more"),
        ('"#8429F6"', "red", r"classes\[0\].color: color must be \"#RRGGBB\" in quotes, got 'red'"),
        ('color: "#8429F6"', "hue: 3", r"classes\[0\] must have a name and .* valid keys: name"),
        (', color: "#8429F6"', "", r"classes\[0\] must have a color or a value"),
        ('color: "#8429F6"', "value: 1", r"classes must have a value each or none at all, got 1"),
        ('color: "#8429F6"', "value: x", r"classes\[0\].value must be a whole number, got 'x'"),
        ("#8429F6", "#E2A929", r"colours .* must be distinct, got \['#E2A929'\] twice"),
        ("#000000", "#E2A929", r"colours and ignore_colors must be distinct"),
        ("name: land", "name: water", r"distinct names, got \['water'\] more than once"),
        ("name: land", "name: ~", r"classes\[0\].name must be text, got nothing"),
        ("[water]", "[ice]", r"exclude_from_mean must name classes, got \['ice'\]; valid: land"),
        ("ignore_colors: [", "ignore_values: [1]\n#", r"ignore_values must be empty for colour"),
        ("gsd_m: 0.5", "gsd_m: -1", r"gsd_m must be metres per pixel above 0, got -1.0"),
        ("gsd_m: 0.5", "gsd_m: 9 cm", r"gsd_m must be a number, got '9 cm' in"),
        ("val: [b_1]", "val: [b_1, z*]", r"no tile for 'z\*' \(val\) in .*among the 4 tiles.*a_1"),
        ("val: [b_1]", "val: []", r"splits.val must hold at least one tile"),
        ("val: [b_1]", "val: [a_2]", r"each tile once, got 'a_2' in train and val"),
        ("val: [b_1], ", "", r"splits must be train, val, test, got 'train, test' in"),
        ("val: [b_1]", "dev: [b_1]", r"splits must be train, val, test, got 'train, dev, test'"),
        ("val: [b_1]", "val: [[b_1]]", r"splits.val must be text, got \['b_1'\] in"),
        ("images/{tile}.tif", "{tile}.tif", r"valid YAML, got: .*; put text with \{ \}, #, : or"),
        ("name: tiny", "name: {", r"dataset must be valid YAML, got: .*line .* in .*dataset.yaml"),
    ],
)
def test_yaml_mistakes_are_named(tmp_path, old, new, expected):
    assert old in COLOR_YAML
    message = error_of(write_folder(tmp_path, COLOR_YAML.replace(old, new, 1)))
    assert re.search(expected, message), message
    assert "dataset.yaml" in message


def test_single_missing_masks_are_left_to_the_inspection(tmp_path):
    spec = load_dataset(write_folder(tmp_path))
    for tile in ("a_2", "c_1"):
        (tmp_path / f"masks/{tile}.png").unlink()
    assert load_dataset(tmp_path) == spec


def test_single_missing_eroded_masks_are_left_to_the_inspection(tmp_path):
    write_folder(tmp_path, COLOR_YAML + "eroded_masks: eroded/{tile}.png\n")
    touch(tmp_path, "eroded/a_1.png")
    assert load_dataset(tmp_path).splits["test"][0].eroded_mask == tmp_path / "eroded/c_1.png"


def test_mask_without_image_is_not_left_out_in_silence(tmp_path):
    spec = load_dataset(write_folder(tmp_path))
    (tmp_path / "images/a_2.tif").unlink()
    assert load_dataset(tmp_path) == spec
    (tmp_path / "images/b_1.tif").unlink()  # named exactly in its split
    assert load_dataset(tmp_path) == spec
    touch(tmp_path, "masks/d_1.png")  # in no split
    assert load_dataset(tmp_path) == spec


ONE_FOLDER_SPLITS = "{train: [a*], val: [b*], test: [c*]}"


def one_folder(folder: Path, images: str, masks: str, eroded: str | None = None) -> Path:
    """Images and masks of the tiles a, b, c side by side; returns the folder."""
    text = COLOR_YAML.replace("images/{tile}.tif", f"'{images}'")
    text = text.replace("masks/{tile}.png", f"'{masks}'")
    text = re.sub("splits: .*", f"splits: {ONE_FOLDER_SPLITS}", text)
    if eroded:
        text += f"eroded_masks: '{eroded}'\n"
    for tile in "abc":
        patterns = (images, masks, *([eroded] if eroded else []))
        touch(folder, *(pattern.replace("{tile}", tile) for pattern in patterns))
    (folder / "dataset.yaml").write_text(text)
    return folder


ONE_FOLDER_PATTERNS = [
    ("{tile}.tif", "{tile}_mask.tif", None),
    ("{tile}.tif", "./{tile}_mask.tif", None),
    ("{tile}.tif", "{tile}_mask.tif", "{tile}_eroded.tif"),
    ("{tile}.tif", "{tile}_mask.tif", "{tile}_mask_eroded.tif"),
    ("{tile}.tif", "{tile}_mask.tif", "{tile}_eroded_mask.tif"),
    ("{tile}_image.tif", "{tile}.tif", None),
    ("{tile}_image.tif", "{tile}.tif", "{tile}_eroded.tif"),
    ("{tile}_image.tif", "{tile}_mask.tif", "{tile}_eroded.tif"),
    ("top/{tile}.tif", "gt/{tile}.tif", "gt/{tile}_eroded.tif"),
    ("{tile}/image.tif", "{tile}/mask.tif", None),
]


@pytest.mark.parametrize(("images", "masks", "eroded"), ONE_FOLDER_PATTERNS)
def test_masks_beside_images_are_no_tiles(tmp_path, images, masks, eroded):
    spec = load_dataset(one_folder(tmp_path, images, masks, eroded))
    assert names_of(spec) == {"train": ["a"], "val": ["b"], "test": ["c"]}
    for tile in (tiles[0] for tiles in spec.splits.values()):
        assert tile.image == tmp_path / images.replace("{tile}", tile.name)
        assert tile.mask == tmp_path / masks.replace("{tile}", tile.name)
        if eroded:
            assert tile.eroded_mask == tmp_path / eroded.replace("{tile}", tile.name)


@pytest.mark.parametrize("which", ["image", "mask"])
@pytest.mark.parametrize(("images", "masks", "eroded"), ONE_FOLDER_PATTERNS)
def test_tile_with_half_its_files_stays_one_tile(tmp_path, images, masks, eroded, which):
    one_folder(tmp_path, images, masks, eroded)
    spec = load_dataset(tmp_path)
    pattern = images if which == "image" else masks
    (tmp_path / pattern.replace("{tile}", "b")).unlink()
    assert load_dataset(tmp_path) == spec


def test_image_that_looks_like_a_mask_stays_a_tile(tmp_path):
    one_folder(tmp_path, "{tile}.tif", "m{tile}.tif")
    touch(tmp_path, "moon.tif", "mmoon.tif")
    yaml_file = tmp_path / "dataset.yaml"
    yaml_file.write_text(yaml_file.read_text().replace("[a*]", "[a*, m*]"))
    assert names_of(load_dataset(tmp_path))["train"] == ["a", "moon"]
    (tmp_path / "mmoon.tif").unlink()
    assert names_of(load_dataset(tmp_path))["train"] == ["a", "moon"]


def test_path_that_is_no_data_set(tmp_path):
    assert "must be an existing folder or YAML file" in error_of(tmp_path / "absent")
    assert "the folder is empty" in error_of(tmp_path)
    touch(tmp_path, "a.jpg")
    assert "write a dataset.yaml" in error_of(tmp_path)
    touch(tmp_path, "Potsdam/2_Ortho_RGB.zip")
    assert "unpack the zip archives" in error_of(tmp_path)


def test_empty_yaml(tmp_path):
    touch(tmp_path, "dataset.yaml")
    assert "dataset must be YAML fields, got nothing" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("num_classes", "is_valid"), [(1, False), (2, True), (254, True), (255, False)]
)
def test_number_of_classes(num_classes, is_valid):
    tile = TileFiles(name="t", image=Path("i"), mask=Path("m"))
    fields = {
        "name": "many",
        "bands": ("red",),
        "classes": tuple(
            ClassSpec(name=f"c{i}", color=(0, 0, 0), value=i) for i in range(num_classes)
        ),
        "splits": {s: (dataclasses.replace(tile, name=s),) for s in ("train", "val", "test")},
    }
    if is_valid:
        assert len(DatasetSpec(**fields).classes) == num_classes
    else:
        with pytest.raises(DataError, match=f"classes must be 2 to 254, got {num_classes}"):
            DatasetSpec(**fields)


@pytest.mark.parametrize("text", ["#12345", "123456", "#12345G", "#1234567", None, 0])
def test_parse_color_refuses(text):
    with pytest.raises(DataError, match="#RRGGBB"):
        parse_color(text)


VAIHINGEN_AREAS = (1, 3, 15, 2, 38)


def write_vaihingen(folder: Path, areas=VAIHINGEN_AREAS) -> Path:
    for n in areas:
        touch(
            folder,
            f"ISPRS/top/top_mosaic_09cm_area{n}.tif",
            f"ISPRS/gts_for_participants/top_mosaic_09cm_area{n}.tif",
            f"ISPRS/gts_eroded_for_participants/top_mosaic_09cm_area{n}_noBoundary.tif",
        )
    return folder


def test_vaihingen_as_downloaded(tmp_path):
    spec = load_dataset(write_vaihingen(tmp_path))
    assert spec.name == "vaihingen"
    assert spec.bands == ("near_infrared", "red", "green")
    assert spec.gsd_m == 0.09
    assert [c.name for c in spec.classes][:2] == ["impervious_surfaces", "building"]
    assert [c.color for c in spec.classes][4:] == [(255, 255, 0), (255, 0, 0)]
    assert spec.exclude_from_mean == ("clutter",)
    assert spec.ignore_colors == ((0, 0, 0),)
    assert names_of(spec) == {
        "train": ["area1", "area3"],
        "val": ["area15"],
        "test": ["area2", "area38"],
    }
    file = "top_mosaic_09cm_area15"
    assert spec.splits["val"][0] == TileFiles(
        name="area15",
        image=tmp_path / f"ISPRS/top/{file}.tif",
        mask=tmp_path / f"ISPRS/gts_for_participants/{file}.tif",
        eroded_mask=tmp_path / f"ISPRS/gts_eroded_for_participants/{file}_noBoundary.tif",
    )


def test_vaihingen_split_of_the_paper_holds_33_areas(tmp_path):
    areas = [*range(1, 9), *range(10, 18), *range(20, 25), *range(26, 36), 37, 38]
    spec = load_dataset(write_vaihingen(tmp_path, areas))
    sizes = {split: len(tiles) for split, tiles in spec.splits.items()}
    assert sizes == {"train": 14, "val": 2, "test": 17}


def test_complete_reference_wins_over_the_one_for_participants(tmp_path):
    write_vaihingen(tmp_path)
    complete = "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE"
    touch(tmp_path, f"{complete}/top_mosaic_09cm_area1.tif")
    assert load_dataset(tmp_path).splits["train"][0].mask.parent.name == complete
    touch(tmp_path, "copy/top_mosaic_09cm_area3.tif")
    assert "files must be there once, got ISPRS/gts_for_participants/top" in error_of(tmp_path)


def test_vaihingen_mistakes(tmp_path):
    write_vaihingen(tmp_path / "no_val", areas=(1, 2))
    message = error_of(tmp_path / "no_val")
    assert "got none for val" in message
    assert "val needs one of area15 area17" in message

    write_vaihingen(tmp_path / "unknown", areas=(*VAIHINGEN_AREAS, 99))
    assert "must be of the vaihingen benchmark, got area99" in error_of(tmp_path / "unknown")

    touch(write_vaihingen(tmp_path / "gap"), "ISPRS/top/top_mosaic_09cm_area4.tif")
    assert "got none for top_mosaic_09cm_area4.tif" in error_of(tmp_path / "gap")

    touch(tmp_path / "masks_only", "gts/top_mosaic_09cm_area4.tif")
    assert "got references only" in error_of(tmp_path / "masks_only")


def test_vaihingen_with_suffixes_in_capitals_was_left_out(tmp_path):
    write_vaihingen(tmp_path)
    for file in tmp_path.rglob("*area3*.tif"):
        file.rename(file.with_suffix(".TIF"))
    spec = load_dataset(tmp_path)
    assert names_of(spec)["train"] == ["area1", "area3"]
    assert {file.suffix for file in spec.splits["train"][1].files} == {".TIF"}
    touch(tmp_path, "ISPRS/top/top_mosaic_09cm_area3.tif")
    message = error_of(tmp_path)
    assert (
        "got ISPRS/top/top_mosaic_09cm_area3.TIF and ISPRS/top/top_mosaic_09cm_area3.t" in message
    )


def test_vaihingen_behind_links(tmp_path):
    write_vaihingen(tmp_path / "disk")
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "disk/ISPRS/top").rename(tmp_path / "disk/images")
    (data / "top").symlink_to(tmp_path / "disk/images")
    (data / "references").symlink_to(tmp_path / "disk/ISPRS")
    spec = load_dataset(data)
    assert names_of(spec)["val"] == ["area15"]
    assert spec.splits["val"][0].image == data / "top/top_mosaic_09cm_area15.tif"


def test_links_that_lead_back_end(tmp_path):
    write_vaihingen(tmp_path)
    (tmp_path / "ISPRS/top/back").symlink_to(tmp_path)
    (tmp_path / "ISPRS/a_copy").symlink_to("top")
    (tmp_path / "itself").symlink_to("itself")
    spec = load_dataset(tmp_path)
    assert spec.splits["val"][0].image.parent == tmp_path / "ISPRS/top"
    (tmp_path / "ISPRS/top").rename(tmp_path / "ISPRS/images")
    (tmp_path / "ISPRS/top").symlink_to("images")
    (tmp_path / "ISPRS/a_copy").unlink()
    assert load_dataset(tmp_path).splits["val"][0].image.parent == tmp_path / "ISPRS/top"


def write_potsdam(folder: Path, tiles, composites=("RGB",)) -> Path:
    for t in tiles:
        touch(folder, f"5_Labels_all/top_potsdam_{t}_label.tif")
        touch(folder, f"5_Labels_all_noBoundary/top_potsdam_{t}_label_noBoundary.tif")
        touch(folder, *(f"Ortho_{c}/top_potsdam_{t}_{c}.tif" for c in composites))
    return folder


POTSDAM_TRAIN = [
    *(f"{row}_{column}" for row in (2, 3, 4, 5) for column in (10, 11, 12)),
    *(f"{row}_{column}" for row in (6, 7) for column in range(7, 13)),
]
POTSDAM_TEST = [
    *("2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15"),
    *("5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13"),
]


def test_potsdam_as_downloaded(tmp_path):
    spec = load_dataset(write_potsdam(tmp_path, POTSDAM_TRAIN + POTSDAM_TEST, ("RGB", "IRRG")))
    names = names_of(spec)
    assert spec.name == "potsdam"
    assert spec.bands == ("red", "green", "blue")
    assert spec.gsd_m == 0.05
    assert names["val"] == ["2_12", "4_12", "6_12"]
    assert sorted(names["train"] + names["val"]) == sorted(POTSDAM_TRAIN)
    assert names["test"] == POTSDAM_TEST
    assert spec.splits["test"][0] == TileFiles(
        name="2_13",
        image=tmp_path / "Ortho_RGB/top_potsdam_2_13_RGB.tif",
        mask=tmp_path / "5_Labels_all/top_potsdam_2_13_label.tif",
        eroded_mask=tmp_path / "5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif",
    )


def test_potsdam_infrared_composite(tmp_path):
    spec = load_dataset(write_potsdam(tmp_path, ("2_10", "2_12", "2_13"), ("IRRG",)))
    assert spec.bands == ("near_infrared", "red", "green")
    assert spec.splits["val"][0].eroded_mask is not None


def test_both_benchmarks_below_one_folder_are_refused(tmp_path):
    write_potsdam(write_vaihingen(tmp_path), ("2_10", "2_12", "2_13"))
    assert "must be one ISPRS benchmark" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-9999", (-9999.0,) * 3),
        ("1e20", (1e20,) * 3),
        ("[-9999, null, 0.5]", (-9999.0, None, 0.5)),
    ],
)
def test_nodata_of_the_images(tmp_path, text, expected):
    folder = write_folder(tmp_path, COLOR_YAML + f"nodata: {text}\n")
    assert load_dataset(folder).nodata == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", "nodata must be a number, or a list of one number or null per band, got 'none'"),
        ("[1, 2]", "nodata must be one value, or one of each band, got 2 for 3 bands"),
    ],
)
def test_nodata_that_is_none(tmp_path, text, expected):
    assert expected in error_of(write_folder(tmp_path, COLOR_YAML + f"nodata: {text}\n"))
