"""Names of files that can be told, recorded and handed to every library."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trainables.errors import DataError

_REFUSED: Final = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: control characters, bytes that are no UTF-8, separators of lines."""


def shown(name: str) -> str:
    r"""A name in one line, whatever is in it: bytes that are no UTF-8 as \xe9, a newline as \n."""
    return "".join(_written(one) for one in name)


def is_tellable(name: str) -> bool:
    """Whether a name is UTF-8 and of one line, without control characters."""
    return not any(unicodedata.category(one) in _REFUSED for one in name)


def check_names(paths: Iterable[Path | str], what: str) -> None:
    """Refuse names that GDAL, JSON or a line of text cannot hold.

    Args:
        paths: Paths of files or folders; the folders above count too.
        what: What they are, at the beginning of the message.

    Raises:
        DataError: With the first of them, escaped, and the part of it that has to be renamed.
    """
    for path in paths:
        text = os.fspath(path)
        for part in text.split("/"):
            if not is_tellable(part):
                raise DataError(
                    f"{what} must have a name in UTF-8 without control characters, got "
                    f"'{shown(text)}'; {_advice(part)}"
                )


def _written(character: str) -> str:
    """A character of a name, or its code; a byte that is no UTF-8 stands for itself."""
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in _REFUSED:
        return character.encode("unicode_escape").decode()
    return character


def _advice(name: str) -> str:
    if sys.getfilesystemencoding() != "utf-8":  # then a sound name may look like this
        return f"set PYTHONUTF8=1, or rename '{shown(name)}'"
    return f"rename '{shown(name)}'"
