"""Errors that a person can mend: shown as one line, without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST_PROBLEMS_SHOWN: Final = 20


class ConfigError(ValueError):
    """An option or a configuration field that cannot be used as given."""


class DataError(ValueError):
    """A data set that cannot be used as it lies on disk; lists every problem found."""


def problems_text(problems: Sequence[str]) -> str:
    """What is wrong with many files: one a line below their number, and how many more there are.

    Args:
        problems: One or more; a single one stands alone.
    """
    if len(problems) == 1:
        return problems[0]
    more = len(problems) - MOST_PROBLEMS_SHOWN
    lines = [f"{len(problems)} problems:", *problems[:MOST_PROBLEMS_SHOWN]]
    return "\n  ".join([*lines, f"and {more} more"] if more > 0 else lines)
