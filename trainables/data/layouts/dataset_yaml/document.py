"""YAML as a person means it: what is not in quotes is text until a number is asked for.

YAML 1.1 makes 210 of the tile 2_10, 1 of 001, False of no, a date of 2021-05-01 and 90 of 1:30,
and takes the last of two fields of one name without a word.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

import yaml

_INTEGER: Final = re.compile(r"[-+]?([0-9][0-9_]{0,20}|0[xX][0-9a-fA-F][0-9a-fA-F_]{0,20})")
_NUMBER: Final = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]{1,4})?")
_SPECIAL: Final = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")
_NOTHING: Final = ("", "~")
_NULLS: Final = ("null", "Null", "NULL")
_TAGS: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAGS}merge"
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unquoted(str):
    """Text that is not in quotes, as it stands in the file."""

    __slots__ = ()

    @property
    def integer(self) -> int | None:
        """The whole number that it writes, in tens whatever zeros it begins with; None for none."""
        if not _INTEGER.fullmatch(self):
            return None
        digits = self.replace("_", "")
        return int(digits, 16 if "x" in digits.lower() else 10)

    @property
    def number(self) -> float | None:
        """The number that it writes; None for none."""
        if match := _SPECIAL.fullmatch(self):
            return float(match[1] + match[2].lower())
        if _NUMBER.fullmatch(self):
            return float(self.replace("_", ""))
        return None if self.integer is None else float(self.integer)


def is_nothing(value: object) -> bool:
    """Whether there is no value where a number, a list or a pattern is wanted."""
    return value is None or (isinstance(value, Unquoted) and value in _NULLS)


class YamlError(ValueError):
    """What keeps a text from being YAML, in one line, and what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


def parse_document(content: bytes) -> Any:
    """The value of a YAML document.

    Args:
        content: UTF-8, or UTF-16 with its mark; lines end as they like.

    Returns:
        Lists, dictionaries with text as keys, text (`Unquoted` where it is not in quotes), and
        None for what is empty or `~`.

    Raises:
        YamlError: If it is none, a field is given twice, or there is a tag such as `!!int`.
    """
    text = _decoded(content)
    try:
        return yaml.load(text, Loader=_Loader)
    except _FieldError as error:
        raise YamlError(str(error), error.advice) from None
    except yaml.YAMLError as error:
        has_tab = "'\\t'" in str(error)
        advice = (
            "indent with spaces, not with tabs"
            if has_tab
            else "put text with { }, #, : or ? in quotes"
        )
        raise YamlError(_reason(error), advice) from None
    except RecursionError:
        raise YamlError("lists in lists without end", "write fewer brackets") from None


def _reason(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the text around it: an address there may hold a login."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ", ".join(filter(None, (error.context, error.problem)))
    mark = error.problem_mark or error.context_mark
    where = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
    return f"{' '.join(said.split())}{where}"


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        start = content.rfind(b"\n", 0, error.start) + 1
        there = content[start:].splitlines()[0].decode("ascii", "backslashreplace")
        raise YamlError(
            f"bytes that are no UTF-8 in line {line} ({there})", "save the file as UTF-8"
        ) from None


class _FieldError(yaml.YAMLError):
    """A field that cannot be told from others."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


class _Loader(yaml.SafeLoader):
    """Knows text, lists, mappings, and `<<`, which takes fields over from elsewhere."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, each of whose fields has a name of its own.

        Raises:
            yaml.YAMLError: If one is given twice, or its name is a list.
        """
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _FieldError(f"a list as the name of a field in line {line}", "write a text")
            if key.tag == _MERGE:
                continue
            if key.value in lines:
                places = sorted({lines[key.value], line})
                where = f"line{'s' * (len(places) > 1)} {' and '.join(map(str, places))}"
                raise _FieldError(f"{key.value!r} twice in {where}", "remove one")
            lines[key.value] = line
        return super().construct_mapping(node, deep)

    def construct_text(self, node: yaml.ScalarNode) -> str | None:
        """The text of a scalar; None where nothing or `~` is written."""
        value = str(self.construct_scalar(node))
        if node.style is not None:
            return value
        return None if value in _NOTHING else Unquoted(value)


_Loader.yaml_implicit_resolvers = {"<": [(_MERGE, re.compile("<<"))]}
_Loader.yaml_constructors = {
    f"{_TAGS}seq": yaml.SafeLoader.construct_yaml_seq,
    f"{_TAGS}map": yaml.SafeLoader.construct_yaml_map,
    f"{_TAGS}str": _Loader.construct_text,
    None: yaml.SafeLoader.construct_undefined,
}
