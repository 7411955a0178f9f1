"""Splits by shares and by a table; names and globs are tested with the layouts."""

import pytest

from trainables.data.layouts.dataset import load_dataset
from trainables.errors import DataError

YAML = """\
name: tiny
bands: [red]
images: images/{tile}.tif
masks: masks/{tile}.png
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: SPLITS
"""


def write(folder, splits, table=None):
    for kind, suffix in (("images", "tif"), ("masks", "png")):
        (folder / kind).mkdir(exist_ok=True)
        for number in range(10):
            (folder / kind / f"t{number}.{suffix}").touch()
    (folder / "dataset.yaml").write_text(YAML.replace("SPLITS", splits))
    if table is not None:
        (folder / "splits.csv").write_text(table)
    return folder


def names_of(spec):
    return {split: [tile.name for tile in tiles] for split, tiles in spec.splits.items()}


def test_shares_use_every_tile_once_and_a_seed_of_their_own(tmp_path):
    drawn = set()
    for seed in ("", ", seed: 1", ", seed: 2", ", seed: 3"):
        shares = f"{{train: 0.6, val: 0.1, test: 0.3{seed}}}"
        found = names_of(load_dataset(write(tmp_path, shares)))
        assert {split: len(of) for split, of in found.items()} == {"train": 6, "val": 1, "test": 3}
        every = [tile for of_split in found.values() for tile in of_split]
        assert sorted(every) == [f"t{number}" for number in range(10)]
        drawn.add(str(found))
    assert len(drawn) > 1


def test_a_table_says_which_tile_is_where(tmp_path):
    table = "tile,split,who\nt3,test,me\nt1,train,me\nt0,train,you\nt9,val,me\n"
    found = names_of(load_dataset(write(tmp_path, "{file: splits.csv}", table)))
    assert found == {"train": ["t0", "t1"], "val": ["t9"], "test": ["t3"]}


@pytest.mark.parametrize(
    ("splits", "table", "said"),
    [
        ("{train: 0.6, val: 0.1, test: 0.4}", None, "shares of splits must sum to 1, got 1.1"),
        ("{train: 1, val: 0, test: 0}", None, r"splits.train must be a share in \(0, 1\), got 1"),
        ("{train: 0.6, val: 0.4}", None, "splits must be train, val, test, got 'train, val'"),
        ("{train: 0.6, val: 0.1, test: 0.3, seed: x}", None, "seed must be a whole number"),
        ("{train: 0.6, val: 0.1, test: 0.3, seed: -1}", None, "seed must be 0 or more"),
        ("{train: 0.6, val: [t1], test: 0.3}", None, "splits.train must be a list"),
        ("{file: splits.csv, seed: 1}", "tile,split\n", "must have a file alone, got seed"),
        ("{file: splits.csv}", None, "splits.file must be a CSV file in UTF-8, got: .*No such"),
        ("{file: splits.csv}", "name,split\nt1,val\n", "columns .* got name, split"),
        ("{file: splits.csv}", "tile,split\nt1,dev\n", "split of 't1' must be one of .* got 'dev'"),
        ("{file: splits.csv}", "tile,split\nt1,val\nt1,test\n", "must be in one split, got 't1'"),
        ("{file: splits.csv}", "tile,split\nx1,val\n", "got no tile for 'x1'"),
        ("{file: splits.csv}", "tile,split\nt1,val\n", "splits.train must hold at least one tile"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_split_is_one_line(tmp_path, splits, table, said):
    with pytest.raises(DataError, match=said) as raised:
        load_dataset(write(tmp_path, splits, table))
    assert "\n" not in str(raised.value)
