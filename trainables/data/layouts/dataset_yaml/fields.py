"""The fields of a dataset.yaml, checked as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.data.access.remote_files import address_problem, path_at
from trainables.data.layouts.dataset_yaml.document import (
    Unquoted,
    YamlError,
    is_nothing,
    parse_document,
)
from trainables.data.layouts.dataset_yaml.found_files import composed
from trainables.data.layouts.file_names import is_tellable
from trainables.data.layouts.spec import parse_color
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
        """A whole number, not in quotes."""
        number = value.integer if isinstance(value, Unquoted) else None
        if number is None:
            raise self.error(f"{name} must be a whole number, got {value!r}", "mend it")
        return number

    def number(self, key: str) -> float | None:
        """The number under a key; None where an optional key is absent."""
        value = self.values.get(key)
        if is_nothing(value):
            return None
        number = value.number if isinstance(value, Unquoted) else None
        if number is None:
            raise self.error(
                f"{key} must be a number, got {value!r}",
                "give it without a unit and without quotes, with a point before its decimals",
            )
        return number

    def numbers(self, key: str, num_bands: int) -> tuple[float | None, ...]:
        """A number for each band: one alone counts for all bands, null in a list stands for none.

        Args:
            key: The field; without it the result is empty.
            num_bands: How many bands there are.
        """
        given = self.values.get(key)
        if is_nothing(given):
            return ()
        found = []
        for one in given if isinstance(given, list) else [given] * num_bands:
            number = one.number if isinstance(one, Unquoted) else None
            if number is None and not is_nothing(one):
                raise self.error(
                    f"{key} must be a number, or a list of one number or null per band, got "
                    f"{given!r}",
                    f"e.g. {key}: -9999",
                )
            found.append(number)
        if not found:
            raise self.error(f"{key} must not be an empty list", "leave it out")
        return tuple(found)

    def color(self, name: str, value: object) -> tuple[int, int, int]:
        """A colour, RGB 0-255."""
        try:
            return parse_color(value)
        except ValueError as error:
            raise self.error(f"{name}: {error}", "mend it") from None

    def path(self, key: str) -> Path:
        """The file under a key: relative to the YAML file, or at an address."""
        return path_at(self.address(key), self.file.parent)

    def address(self, key: str) -> str:
        """The path or address of a file, or of several, under a key."""
        written = self.text(key)
        if problem := address_problem(written):
            raise self.error(
                f"{key} must be a path, or an address that begins with s3://, https:// or http:// "
                f"and has its signs percent-encoded, got {problem}",
                "mend it",
            )
        return written

    def pattern(self, key: str) -> str:
        """The pattern of file names under a key, with {tile} in it."""
        pattern = self.address(key)
        if "{tile}" not in pattern:
            raise self.error(
                f"{key} must contain {{tile}}, got {pattern!r}", "e.g. 'images/{tile}.tif'"
            )
        return pattern

    def _as_text(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not value:
            got = "nothing" if value is None else repr(value)
            raise self.error(f"{name} must be text, got {got}", "write it as text, or in quotes")
        if not is_tellable(value):
            raise self.error(
                f"{name} must be one line without control characters, got {value!r}", "mend it"
            )
        return composed(str(value))


def read_fields(file: Path, required: Sequence[str], optional: Sequence[str]) -> YamlFields:
    """The fields of a YAML file.

    Raises:
        DataError: If it is no YAML, if a required field is missing, if one is unknown, or one is
            given twice. A field without a value is not given.
    """
    try:
        document = parse_document(file.read_bytes())
    except YamlError as error:
        raise DataError(
            f"dataset must be valid YAML, got: {error} in {file}; {error.advice}"
        ) from None
    except OSError as error:
        raise DataError(
            f"dataset must be a file that can be read, got: {error.strerror} in {file}"
        ) from None
    if not isinstance(document, dict):
        raise DataError(
            f"dataset must be YAML fields, got {_kind(document)} in {file}; "
            f"it needs {', '.join(required)}"
        )
    valid = (*required, *optional)
    if unknown := [key for key in document if key not in valid]:
        raise DataError(
            f"keys must be known, got {', '.join(map(repr, unknown))} in {file}; "
            f"valid: {', '.join(valid)}"
        )
    values = {
        key: value
        for key, value in document.items()
        if value is not None and not (key in optional and is_nothing(value))
    }
    if missing := [key for key in required if key not in values]:
        raise DataError(f"{', '.join(missing)} must be given, got nothing in {file}; add it")
    return YamlFields(file=file, values=values)


def _kind(document: object) -> str:
    if isinstance(document, list):
        return "a list"
    return "nothing" if document is None else f"the text {document!r}"
