"""Polygons instead of masks, and imagery without either, as dataset.yaml says them."""

import re
from pathlib import Path

import pytest

from trainables.data.layouts.dataset import load_dataset
from trainables.data.places.vector_files import VectorFile
from trainables.errors import DataError

YAML = """\
name: town
bands: [red, green, blue]
images: tiles/{tile}.tif
unlabelled: ["more/{tile}.tif", "tiles/{tile}.tif"]
labels:
  file: town.gpkg
  layer: houses
  class_field: kind
  background: ground
  area: area.geojson
  order: [road, house]
  buffer_m: 1.5
  ignore_values: [ruin]
classes:
  - {name: ground}
  - {name: house, values: [yes, 2]}
  - {name: road, values: lane, color: "#112233"}
splits: {train: [a1], val: [b1], test: [c1]}
"""


def write(folder: Path, text: str = YAML) -> Path:
    for name in ("tiles/a1", "tiles/b1", "tiles/c1", "tiles/d1", "more/e1", "more/e2"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.tif").touch()
    (folder / "dataset.yaml").write_text(text)
    return folder


def test_labels_and_their_files(tmp_path):
    spec = load_dataset(write(tmp_path))
    found = spec.labels
    assert found.source == VectorFile(file=tmp_path / "town.gpkg", layer="houses")
    assert found.area == VectorFile(file=tmp_path / "area.geojson")
    assert found.class_values == ((), ("yes", "2"), ("lane",))
    assert found.order == (0, 2, 1), "what the order does not name lies lowest"
    assert (found.background, found.buffer_m, found.ignored_values) == (0, 1.5, ("ruin",))
    assert [one.value for one in spec.classes] == [None] * 3
    assert spec.classes[2].color == (0x11, 0x22, 0x33)
    assert [tile.mask for tile in spec.splits["train"]] == [None] * 4


def test_images_in_no_split_join_the_training_tiles_without_labels(tmp_path):
    spec = load_dataset(write(tmp_path))
    train = [(tile.name, tile.is_labelled) for tile in spec.splits["train"]]
    assert train == [("a1", True), ("d1", False), ("e1", False), ("e2", False)]
    assert spec.unlabelled == {"d1", "e1", "e2"}
    assert [tile.name for tile in spec.splits["test"]] == ["c1"]


def test_one_class_of_polygons_needs_no_field(tmp_path):
    text = re.sub(r"(?s)  layer.*?classes:", "  background: ground\nclasses:", YAML)
    text = re.sub(r"  - \{name: house.*\n  - .*\n", "  - {name: house}\n", text)
    found = load_dataset(write(tmp_path, text)).labels
    assert (found.class_field, found.background) == (None, 0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("labels:\n", "masks: m/{tile}.tif\nlabels:\n", "masks or labels must be .* got both"),
        ("  file: town.gpkg\n", "", "labels must have a file"),
        ("  layer: houses", "  lyer: houses", "valid keys: file, layer"),
        ("background: ground", "background: grass", "must name classes, got 'grass'"),
        ("order: [road, house]", "order: [road, path]", "must name classes, got 'path'"),
        ("order: [road, house]", "order: [road, road]", "order must name a class once"),
        ("  class_field: kind\n", "", "class_field must name the field .* for house, road"),
        ("values: lane, ", "", "must have values of labels.class_field, got none for road"),
        ("values: lane", "values: yes", "values must be of one class, got 'yes' twice"),
        ("values: lane", "value: 3", "value must be of masks"),
        ("[ruin]", "[yes]", "ignore_values must be of no class, got 'yes'"),
        ("buffer_m: 1.5", "buffer_m: 0", "buffer_m must be metres above 0, got 0"),
        ("buffer_m: 1.5", "buffer_m: 1.5 m", "buffer_m must be a number"),
        ("more/{tile}", "less/{tile}", r"unlabelled\[0\] must match an image that is in no split"),
        ("more/{tile}", "more/*", r"unlabelled\[0\] must contain {tile}"),
        ("more/{tile}", "./tiles/{tile}", "must match other tiles .* got 'd1' again"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_one_line(tmp_path, before, after, said):
    assert before in YAML
    with pytest.raises(DataError, match=said) as raised:
        load_dataset(write(tmp_path, YAML.replace(before, after)))
    assert "\n" not in str(raised.value)


def test_values_beside_masks_are_refused(tmp_path):
    text = re.sub(r"(?s)labels:.*?classes:", "masks: m/{tile}.tif\nclasses:", YAML)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a1.tif").touch()
    with pytest.raises(DataError, match=r"classes\[1\].values must be of polygons"):
        load_dataset(write(tmp_path, text.replace("{name: ground}", "{name: ground, value: 0}")))
