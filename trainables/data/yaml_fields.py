"""The fields of a dataset.yaml, checked as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trainables.data.spec import parse_color
from trainables.errors import DataError


@dataclass(frozen=True, kw_only=True)
class YamlFields:
    """The fields of one file; every error names the field, what it holds, and the file."""

    file: Path
    values: dict[str, Any]

    def error(self, problem: str, advice: str) -> DataError:
        """An error that names the file."""
        return DataError(f"{problem} in {self.file}; {advice}")

    def text(self, key: str) -> str:
        """The text under a key, not empty."""
        return self._as_text(key, self.values[key])

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts under a key; empty where an optional key is absent."""
        return tuple(self._as_text(key, item) for item in self.items(key))

    def items(self, key: str) -> Sequence[Any]:
        """The list under a key; empty where an optional key is absent."""
        items = self.values.get(key, [])
        if not isinstance(items, list):
            raise self.error(f"{key} must be a list, got {items!r}", "write it as [a, b]")
        return items

    def integer(self, name: str, value: object) -> int:
        """A whole number."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{name} must be a whole number, got {value!r}", "mend it")
        return value

    def number(self, key: str) -> float | None:
        """The number under a key; None where an optional key is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{key} must be a number, got {value!r}", "give it without a unit")
        return float(value)

    def color(self, name: str, value: object) -> tuple[int, int, int]:
        """A colour, RGB 0-255."""
        try:
            return parse_color(value)
        except ValueError as error:
            raise self.error(f"{name}: {error}", "mend it") from None

    def pattern(self, key: str) -> str:
        """The pattern of file names under a key, with {tile} in it."""
        pattern = self.text(key)
        if "{tile}" not in pattern:
            raise self.error(
                f"{key} must contain {{tile}}, got {pattern!r}", "e.g. 'images/{tile}.tif'"
            )
        return pattern

    def _as_text(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not value:
            raise self.error(f"{name} must be text, got {value!r}", f'put it in quotes: "{value}"')
        return value


def read_fields(file: Path, required: Sequence[str], optional: Sequence[str]) -> YamlFields:
    """The fields of a YAML file.

    Raises:
        DataError: If it is no YAML, if a required field is missing, or if one is unknown.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"dataset must be valid YAML, got: {reason} in {file}; put text with {{ }}, # or : "
            "in quotes"
        ) from None
    if not isinstance(document, dict):
        raise DataError(
            f"dataset must be YAML fields, got {type(document).__name__} in {file}; "
            f"it needs {', '.join(required)}"
        )
    valid = (*required, *optional)
    if unknown := [key for key in document if key not in valid]:
        raise DataError(
            f"keys must be known, got {', '.join(map(repr, unknown))} in {file}; "
            f"valid: {', '.join(valid)}"
        )
    if missing := [key for key in required if key not in document]:
        raise DataError(f"{', '.join(missing)} must be given, got nothing in {file}; add it")
    return YamlFields(file=file, values=document)
