"""Manifests of budgets: what they hold, and that nothing else passes for them."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from trainables.data.budgets.annotation import (
    Budget,
    DrawingChangedError,
    read_budget,
    verify_pixels,
    write_budget,
)
from trainables.data.budgets.drawing import (
    annotated_pixels,
    draw_budget,
)
from trainables.data.budgets.pixel_set import pack_pixels
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import pack_tiles
from trainables.errors import DataError

BLOCK = Unit(kind="block", size_px=8)
UNITS = [
    Unit(kind=kind, size_px=size_px, stratified=stratified)
    for kind, size_px in (("block", 8), ("tile", 0), ("point", 3), ("area", 24))
    for stratified in (False, True)
] + [
    Unit(kind=kind, size_px=size_px, order="diverse")
    for kind, size_px in (("block", 8), ("tile", 0), ("area", 24))
]


def _draw(tiles, fraction, seed=0, unit=BLOCK, smallest=None):
    return draw_budget(
        tiles, fraction=fraction, seed=seed, unit=unit, num_classes=3, smallest=smallest
    )


def _copies(tiles):
    return [replace(tile, image=tile.image.copy(), mask=tile.mask.copy()) for tile in tiles]


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_a_manifest_comes_back_from_disk(random_tiles, tmp_path, unit):
    budget, pixels = _draw(random_tiles(), 0.3, seed=4, unit=unit)
    path = tmp_path / "budgets" / "s4-f0.3.json"
    write_budget(path, budget)
    back = read_budget(path)
    assert back == budget
    assert json.loads(path.read_text())["checksum"] == budget.checksum
    assert Budget.from_plain(budget.to_plain()) == budget
    assert np.array_equal(annotated_pixels(random_tiles(), back).bits, pixels.bits)


def test_the_checksum_covers_every_field(random_tiles):
    budget, _ = _draw(random_tiles(), 0.3)
    changed = {
        "unit": Unit(kind="block", size_px=9),
        "seed": 1,
        "fraction_asked": 0.31,
        "fraction_reached": 0.2,
        "smallest": 0.2,
        "labelled_px": 1,
        "annotated_px": 1,
        "labelled_class_px": (1, 2, 3),
        "class_px": (1, 2, 3),
        "num_units": 1,
        "units": budget.units[::-1],
        "pixels_checksum": "0" * 64,
        "data_checksum": "0" * 64,
        "labels": "click",
        "split": "val",
        "joined": False,
        "listed": True,
    }
    assert budget.joined  # 90 px and blocks of 8
    assert set(changed) == set(asdict(budget))
    for name, value in changed.items():
        assert replace(budget, **{name: value}).checksum != budget.checksum, name


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_manifest_of_blocks_as_earlier_versions_cut_them_is_refused(random_tiles, split):
    """Their places now name other pixels: the study would go on with other annotations."""
    tiles = random_tiles()
    budget, pixels = draw_budget(
        tiles, fraction=0.3, seed=0, unit=BLOCK, num_classes=3, split=split
    )
    old = replace(budget, joined=False)
    for check in (lambda: annotated_pixels(tiles, old), lambda: verify_pixels(tiles, old, pixels)):
        with pytest.raises(DrawingChangedError, match=r"got blocks as earlier .* another --name"):
            check()


def test_a_manifest_of_points_with_the_labels_of_the_mask_is_refused(random_tiles, tmp_path):
    """Earlier versions drew it so; to remove the file would mix both in one study."""
    budget, _ = _draw(random_tiles(), 0.3, unit=Unit(kind="point", size_px=2))
    path = tmp_path / "budget.json"
    write_budget(path, replace(budget, labels="reference"))
    assert "labels" not in json.loads(path.read_text())
    with pytest.raises(DataError, match=r"labels of a budget of points must be .*click") as caught:
        read_budget(path)
    assert "choose another --name [in " in str(caught.value)
    assert "remove" not in str(caught.value)
    full, _ = _draw(random_tiles(), 1.0, unit=Unit(kind="point", size_px=2))
    write_budget(path, full)
    assert "labels" not in json.loads(path.read_text())
    assert read_budget(path) == full


def _write_changed(path, budget, change):
    plain = budget.to_plain()
    change(plain)
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain["units"].append(["t0", 0, 0]),
        lambda plain: plain["units"].reverse(),
        lambda plain: plain["units"][0].__setitem__(1, 99),
        lambda plain: plain["class_px"].__setitem__(0, 0),
        lambda plain: plain["unit"].update(stratified=True),
        lambda plain: plain.update(fraction_asked=0.9),
        lambda plain: plain.update(seed=1),
        lambda plain: plain.update(data_checksum="0" * 64),
        lambda plain: plain.update(checksum="0" * 64),
        lambda plain: plain.update(checksum=None),
        lambda plain: plain.pop("checksum"),
    ],
)
def test_a_tampered_manifest_is_refused(random_tiles, tmp_path, change):
    path = tmp_path / "budget.json"
    _write_changed(path, _draw(random_tiles(), 0.3)[0], change)
    with pytest.raises(DataError, match=r"budget checksum must be .* \[in .*budget.json\]"):
        read_budget(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("units"),
        lambda plain: plain.update(points=3),
        lambda plain: plain.update(units=None),
        lambda plain: plain.update(units=[["t0", 0]]),
        lambda plain: plain.update(units=[["t0", 0, 0, 0]]),
        lambda plain: plain.update(class_px=5),
        lambda plain: plain.update(unit="block"),
        lambda plain: plain["unit"].update(kind="disc"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(random_tiles, tmp_path, change):
    path = tmp_path / "budget.json"
    _write_changed(path, _draw(random_tiles(), 0.3)[0], change)
    with pytest.raises(DataError, match=r"budget.json must be a budget manifest, got"):
        read_budget(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe\x00"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "budget.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="must be a budget manifest"):
        read_budget(path)


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_changed_tiles_are_refused(random_tiles, unit):
    budget, pixels = _draw(random_tiles(), 0.3, unit=unit)
    for other in (random_tiles(seed=1), random_tiles([(70, 45), (20, 90)])):
        with pytest.raises(DataError, match="the data changed after the budget was drawn"):
            annotated_pixels(other, budget)
        with pytest.raises(DataError, match="the data changed after the budget was drawn"):
            verify_pixels(other, budget, pixels)


def test_one_changed_pixel_of_an_image_is_refused(random_tiles):
    tiles = random_tiles()
    copies = _copies(tiles)
    copies[0].image[0, 0, 0] ^= 1
    with pytest.raises(DataError, match="training tiles must have the checksum"):
        annotated_pixels(pack_tiles(copies), _draw(tiles, 0.3)[0])


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_changed_masks_under_the_old_checksum_are_refused(random_tiles, unit):
    tiles = random_tiles()
    masks = tiles.masks.copy()
    masks[::3] = IGNORE_INDEX
    with pytest.raises(DataError, match="the masks or the order of the tiles changed"):
        annotated_pixels(replace(tiles, masks=masks), _draw(tiles, 0.3, unit=unit)[0])


def test_a_budget_that_names_another_tile_is_refused(random_tiles):
    tiles = random_tiles()
    budget = replace(_draw(tiles, 0.3)[0], units=(("val_1", 0, 0),))
    with pytest.raises(DataError, match="tile of a budget must be a training tile, got 'val_1'"):
        annotated_pixels(tiles, budget)


def test_one_more_or_one_less_annotated_pixel_is_refused(random_tiles):
    tiles = random_tiles()
    budget, pixels = _draw(tiles, 0.3)
    verify_pixels(tiles, budget, pixels)
    planes = [pixels.tile(index) for index in range(len(tiles))]
    planes[1][3, 4] ^= True
    changed = pack_pixels(tiles.shapes, [(i, 0, plane) for i, plane in enumerate(planes)])
    with pytest.raises(DataError, match="annotated pixels must have the checksum"):
        verify_pixels(tiles, budget, changed)


def test_tiles_in_another_order_are_refused(random_tiles):
    # The bits of a set are found by the index of the tile.
    tiles = random_tiles()
    budget, pixels = _draw(tiles, 0.3)
    turned = pack_tiles(_copies(tiles)[::-1])
    assert turned.checksum == tiles.checksum
    for check in (annotated_pixels, lambda *given: verify_pixels(*given, pixels)):
        with pytest.raises(DataError, match="the order of the tiles changed"):
            check(turned, budget)


def test_manifests_of_training_budgets_are_those_of_earlier_versions(random_tiles):
    """A study that began before validation had budgets goes on with its own."""
    budget, _ = _draw(random_tiles(), 0.3)
    plain = budget.to_plain()
    assert "split" not in plain
    assert Budget.from_plain(plain) == budget
    written = {name: value for name, value in plain.items() if name != "checksum"}
    text = json.dumps(written, sort_keys=True)
    assert budget.checksum == hashlib.sha256(text.encode()).hexdigest()


def test_a_budget_of_another_split_is_refused(random_tiles):
    plain = _draw(random_tiles(), 0.3)[0].to_plain()
    with pytest.raises(DataError, match="split of a budget must be train or val, got 'test'"):
        Budget.from_plain(plain | {"split": "test"})


def test_validation_tiles_that_changed_are_named(random_tiles):
    unit = Unit(kind="tile", size_px=0)
    budget, pixels = draw_budget(
        random_tiles(), fraction=0.5, seed=0, unit=unit, num_classes=3, split="val"
    )
    with pytest.raises(DataError, match="validation tiles must have the checksum"):
        verify_pixels(random_tiles(seed=1), budget, pixels)
