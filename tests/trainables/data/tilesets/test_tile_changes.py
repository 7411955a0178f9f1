from pathlib import Path

import numpy as np

from trainables.data.layouts.spec import TileFiles
from trainables.data.tilesets.tile_changes import changed_files, tile_checksums
from trainables.data.tilesets.tileset import Tile


def tile(name: str, value: int = 0, label: int = 0, **more) -> Tile:
    image = np.full((3, 4, 5), value, np.uint8)
    return Tile(name=name, image=image, mask=np.full((4, 5), label, np.uint8), **more)


def files(*names: str) -> list[TileFiles]:
    return [TileFiles(name=n, image=Path(f"{n}.tif"), mask=Path(f"{n}.png")) for n in names]


def test_the_file_that_changed_is_named_and_no_other():
    before = tile_checksums([tile("a"), tile("b"), tile("c")])
    now = [tile("a", label=1), tile("b", value=9), tile("c")]
    said = changed_files(now, files("a", "b", "c"), list(before), before)
    assert said == "a.png changed and b.tif changed"


def test_nothing_is_said_where_nothing_changed_or_the_record_does_not_tell():
    before = tile_checksums([tile("a")])
    assert changed_files([tile("a")], files("a"), ["a"], before) == ""
    assert changed_files([tile("a", value=1)], files("a"), ["a"], None) == ""


def test_new_and_missing_tiles_are_told_by_their_names_alone():
    said = changed_files([tile("a"), tile("c")], files("a", "c"), ["a", "b"], None)
    assert said == "b is no longer there and c is new"


def test_a_tile_that_is_another_type_size_or_hides_more_has_another_image():
    (image, labels), *others = (
        tile_checksums([one])["a"]
        for one in (
            tile("a"),
            tile("a", shown=np.zeros((4, 5), np.bool_)),
            Tile(name="a", image=np.zeros((3, 4, 5), np.uint16), mask=np.zeros((4, 5), np.uint8)),
            Tile(name="a", image=np.zeros((3, 5, 4), np.uint8), mask=np.zeros((4, 5), np.uint8)),
        )
    )
    assert len({image, *(one[0] for one in others)}) == 4
    assert {one[1] for one in others} == {labels}


def test_of_a_thousand_changed_files_twenty_are_named():
    names = [f"t{index:04}" for index in range(1000)]
    before = tile_checksums(tile(name) for name in names)
    said = changed_files((tile(name, 1) for name in names), files(*names), names, before)
    assert said.count(".tif changed") == 20
    assert said.endswith(" and 980 more")
