"""Standard output that takes every text, and outlives its reader.

A study that is done must not fail because a terminal knows no `─`, or because `| head -1` has read
enough.
"""

from __future__ import annotations

import codecs
import errno
import io
import sys
from typing import Any, Final

from contract.names import DISTRIBUTION

_ERRORS: Final = f"{DISTRIBUTION}-plain"
"""Name of the way in which what an encoding lacks is written."""
_PLAIN: Final = {
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{NO-BREAK SPACE}": " ",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~+=*#", strict=True)),
}
_READER_GONE: Final = (errno.EPIPE, errno.EIO)
"""A pipe that was closed, a terminal that was."""


def open_output() -> None:
    """Replace this process's standard output and error by such that never fail for those reasons.

    Streams that somebody else has put in their place, a test, say, are left alone.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _lasting(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr)


def writable(text: str, encoding: str | None) -> str:
    """A text in characters that an encoding has, the like of those that it has not.

    Args:
        text: Any.
        encoding: Of the stream that it is meant for; None for UTF-8.
    """
    name = encoding or "utf-8"
    return text.encode(name, _ERRORS).decode(name)


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    raw = _Lasting(stream.fileno(), "w", closefd=False)
    lasting = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=_ERRORS,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    # Without it Ray does not know the stream for this process's own, and cannot send what holds it.
    lasting.mode = "w"  # type: ignore[misc]
    return lasting


class _Lasting(io.FileIO):
    """Takes what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _READER_GONE:
                raise
            return memoryview(data).nbytes


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_written, lacking)), error.end


def _written(character: str) -> str:
    """The like of a character in ASCII, or its code; the byte of a name that is no UTF-8."""
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()


codecs.register_error(_ERRORS, _plain)
