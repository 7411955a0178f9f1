"""Published lists of tiles: exactly these, or in one line why not."""

import re

import pytest

from trainables.data.budgets.lists import read_lists
from trainables.errors import ConfigError

TABLE = "tile,fraction\na3,0.25\na1,0.5\na3,0.5\n"


@pytest.fixture
def read(tmp_path):
    """Reads lists of this text, or of a mapping of texts, a file for each fraction."""

    def make(text):
        if isinstance(text, dict):
            given = {}
            for fraction, names in text.items():
                given[fraction] = str(tmp_path / f"{fraction}.txt")
                (tmp_path / f"{fraction}.txt").write_text(names)
        else:
            given = str(tmp_path / "lists.csv")
            (tmp_path / "lists.csv").write_text(text, encoding="utf-8")
        known = [(name, 0, 0) for name in ("a1", "a2", "a3", "a4")]
        found = read_lists(given, known, seeds=(0, 1, 2), fractions=(0.25, 0.5, 1.0))
        return {key: tuple(name for name, _, _ in places) for key, places in found.items()}

    return make


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        {0.25: "a3\n", 0.5: "\na1\na3\n"},
        "\ufefffraction, tile\n.25,a3\n0.5,a3\n0.50, a1",
    ],
)
def test_lists_serve_every_seed_and_the_whole_needs_none(read, text):
    found = read(text)
    assert set(found) == {(seed, frac) for seed in (0, 1, 2) for frac in (0.25, 0.5, 1.0)}
    for seed in (0, 1, 2):
        assert found[seed, 0.25] == ("a3",)
        assert found[seed, 0.5] == ("a3", "a1")
        assert found[seed, 1.0] == ("a3", "a1", "a2", "a4")


def test_seeds_have_lists_of_their_own(read):
    rows = [
        f"a{1 + (seed + place) % 4},{frac},{seed}"
        for seed in range(3)
        for frac, num in ((0.25, 1), (0.5, 3))
        for place in range(num)
    ]
    found = read("tile,fraction,seed\n" + "\n".join(rows))
    assert [found[seed, 0.25] for seed in (0, 1, 2)] == [("a1",), ("a2",), ("a3",)]
    assert found[1, 0.5] == ("a2", "a3", "a4")


def test_a_list_of_the_whole_is_used_where_there_is_one(read):
    found = read(TABLE + "a1,1\na3,1\na2,1\n")
    assert found[0, 1.0] == ("a3", "a1", "a2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE + "z9,0.5\nx,0.5", r"training tiles with labels, got 'x', 'z9' .* has a1, a2"),
        ("tile,fraction\na3,0.25\n", r"got none for label_frac 0\.5 with seed 0"),
        ("tile,fraction\na3,0.25\na1,0.5\na2,0.5", r"must be nested, got 'a3' .* label_frac 0\.5"),
        ("tile,fraction\na3,0.25\na3,0.25\na3,0.5", r"named once, got 'a3' twice"),
        (TABLE.replace("0.25", "25 %"), r"a number in \(0, 1\], got '25 %' .*line 2"),
        (TABLE.replace("0.25", "nan"), r"a number in \(0, 1\], got 'nan'"),
        ("tile,fraction\na3\n", r"a number in \(0, 1\], got ''"),
        ("tile,fraction,seed\na3,0.25,x\n", r"whole number from 0, got 'x' .*line 2"),
        ("tile,fraction,seed\na3,0.25,0\na3,0.5,0\n", r"got none for label_frac 0\.25 with seed 1"),
        ("name,fraction\na3,0.25\n", r"columns tile, fraction .* got fraction, name"),
        ("", r"columns tile, fraction .* got none"),
        ({0.25: "a3", 0.7: "a3\na1"}, r"got none for label_frac 0\.5 with seed 0"),
        ({0.25: "a3", "half": "a3\na1"}, r"a number in \(0, 1\], got 'half'"),
    ],
)
def test_what_is_wrong_with_lists_is_one_line(read, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["no.csv", {0.25: "no.csv"}])
def test_a_file_that_is_not_there_is_one_line(read, given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape("'no.csv' (No such file or directory)")):
        read_lists(given, (), seeds=(0,), fractions=(0.25,))


BLOCKS = "tile,row,column,fraction\na1,0,1,0.25\na1,0,1,0.5\na2,3,0,0.5\n"


def read_blocks(tmp_path, text):
    (tmp_path / "blocks.csv").write_text(text)
    known = [("a1", 0, 0), ("a1", 0, 1), ("a2", 3, 0)]
    given = str(tmp_path / "blocks.csv")
    return read_lists(given, known, kind="block", seeds=(0,), fractions=(0.25, 0.5, 1.0))


def test_blocks_are_listed_by_tile_row_and_column(tmp_path):
    assert read_blocks(tmp_path, BLOCKS) == {
        (0, 0.25): (("a1", 0, 1),),
        (0, 0.5): (("a1", 0, 1), ("a2", 3, 0)),
        (0, 1.0): (("a1", 0, 1), ("a2", 3, 0), ("a1", 0, 0)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE, r"of blocks must have the columns tile, row, column, fraction .* got fraction, t"),
        (BLOCKS + "a2,9,0,0.5\n", r"training blocks with labels, got 'a2' \(9, 0\) .* a1 \(0, 0\)"),
        (BLOCKS.replace("3,0", "3,x"), r"column of budget_lists must be a whole .* 'x' .*line 4"),
        (BLOCKS + "a2,3,0,0.5\n", r"blocks of budget_lists must be named once, got 'a2' \(3, 0\)"),
    ],
)
def test_what_is_wrong_with_lists_of_blocks_is_one_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_blocks(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_lists_at_an_address_are_one_line_without_its_login():
    """The path had lost a slash of it, so that nothing took the login out."""
    with pytest.raises(ConfigError, match=r"of this machine .* got 'https://h/l\.csv\?\.\.\.'"):
        read_lists("https://me:word@h/l.csv?sig=word", (), seeds=(0,), fractions=(1.0,))


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "image.tif").write_bytes(b"II*\x00\xff\xfe")
    with pytest.raises(ConfigError, match=r"image\.tif' \(no UTF-8\)"):
        read_lists(str(tmp_path / "image.tif"), (), seeds=(0,), fractions=(1.0,))
