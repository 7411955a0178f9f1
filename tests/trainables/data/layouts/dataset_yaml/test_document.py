"""What is not in quotes stays as it is written, until a number is asked for."""

import math

import pytest
import yaml

from trainables.data.layouts.dataset_yaml.document import (
    Unquoted,
    YamlError,
    is_nothing,
    parse_document,
)


@pytest.mark.parametrize(
    "written", ["2_10", "001", "no", "Yes", "on", "1e3", "2021-05-01", "0x1F", "1:30", "=", ".5"]
)
def test_a_name_was_another_one(written):
    """YAML 1.1: 210, 1, False, True, True, a date, 31, 90 and an error."""
    assert parse_document(f"a: {written}\nb: [{written}]\n".encode()) == {
        "a": written, "b": [written]
    }  # fmt: skip
    assert parse_document(f"{written}: 1\n".encode()) == {written: "1"}
    assert isinstance(parse_document(written.encode()), Unquoted)
    quoted = parse_document(f'"{written}"'.encode())
    assert (quoted, type(quoted)) == (written, str)


@pytest.mark.parametrize(
    ("written", "integer", "number"),
    [
        ("0", 0, 0.0), ("-1", -1, -1.0), ("+7", 7, 7.0), ("010", 10, 10.0), ("1_000", 1000, 1000.0),
        ("0x1F", 31, 31.0), ("0.1", None, 0.1), ("1e-1", None, 0.1), (".5", None, 0.5),
        ("5.", None, 5.0), ("1E3", None, 1000.0), ("-.inf", None, -math.inf), ("no", None, None),
        ("1:30", None, None), ("2021-05-01", None, None), ("nan", None, None), ("0x", None, None),
        ("0,5", None, None), ("1 m", None, None), ("", None, None), ("\u0661", None, None),
        ("9" * 5000, None, None),
    ],
)  # fmt: skip
def test_numbers_where_numbers_are_wanted(written, integer, number):
    assert Unquoted(written).integer == integer
    if len(written) < 100:
        assert Unquoted(written).number == number


def test_not_a_number_is_one():
    assert math.isnan(Unquoted(".nan").number)


def test_nothing():
    assert parse_document(b"a: ~\nb:\nc: null\nd: '~'\n") == {
        "a": None, "b": None, "c": "null", "d": "~"
    }  # fmt: skip
    assert is_nothing(None)
    assert is_nothing(Unquoted("null"))
    assert not is_nothing("null")
    assert not is_nothing(Unquoted("0"))
    assert parse_document(b"") is None


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfname: gr\xc3\xbcn\nb: 1\n",
        "name: grün\r\nb: 1\r\n".encode(),
        "name: grün\rb: 1".encode(),
        "name: grün\nb: 1".encode("utf-16"),
    ],
)
def test_as_editors_save_it(content):
    assert parse_document(content) == {"name": "grün", "b": "1"}


@pytest.mark.parametrize(
    ("content", "reason", "advice"),
    [
        ("a: 1\nb: Straße\n".encode("latin-1"), r"no UTF-8 in line 2 (b: Stra\xdfe)", "as UTF-8"),
        (b"a: 1\n\tb: 2\n", "cannot start any token", "with spaces"),
        (b"a: 1\nb: 2\na: 1\n", "'a' twice in lines 1 and 3", "remove one"),
        (b"x: {a: 1, 'a': 2}", "'a' twice in line 1", "remove one"),
        (b"? [1]\n: 2\n", "a list as the name of a field in line 1", "a text"),
        (b"a: !!python/name:os.system 1", "could not determine a constructor", "quotes"),
        (b"a: !!int ''", "could not determine a constructor", "quotes"),
        (b"a: {tile}.tif", "expected", "in quotes"),
        (b"a: \x00", "not allowed", "quotes"),
        (b"[" * 20_000, "lists in lists", "brackets"),
    ],
)
def test_mistakes_are_one_line(content, reason, advice):
    with pytest.raises(YamlError) as caught:
        parse_document(content)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert advice in caught.value.advice


def test_anchors_and_merged_fields_hold():
    text = b"a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n"
    assert parse_document(text)["b"] == {"x": "3", "y": "2"}


def test_what_is_read_can_be_written():
    assert yaml.safe_load(yaml.safe_dump([str(parse_document(b"2_10"))])) == ["2_10"]
