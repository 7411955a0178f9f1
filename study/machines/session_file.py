"""The file of the times of a study's sessions: `times.json`, as `--profile` writes it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from trainables.errors import ConfigError

TIMES: Final = "times.json"


@dataclass(kw_only=True)
class Session:
    """The times of one session, in seconds."""

    slots: int
    """Trials at once, as counted at its start."""
    wall_s: float = 0.0
    """Seconds since the start of the command's work."""
    before_s: float = 0.0
    """The part of them before the first trial was given to a process."""
    slot_before_s: float = 0.0
    """Slots times `before_s`."""
    slot_s: float = 0.0
    """Slots times wall seconds; where more trials ran than slots were counted, as many."""
    trial_s: float = 0.0
    """Seconds for which slots held a trial, until the driver saw its end."""
    tracking_s: float = 0.0
    """Seconds that the thread of records took to send them to MLflow; beside the trials."""
    callback_s: float = 0.0
    """Seconds that the driver spent in Tune's callbacks; beside the trials."""


def read_sessions(path: Path) -> list[Session]:
    """Sessions that were measured before; none where there is no file.

    Raises:
        ConfigError: If the file is damaged.
    """
    return parse_sessions(path.read_bytes(), str(path)) if path.exists() else []


def parse_sessions(content: bytes, where: str) -> list[Session]:
    """Sessions from the content of their file.

    Args:
        content: JSON.
        where: The file, for messages.

    Raises:
        ConfigError: If it is anything else than times of sessions.
    """
    try:
        sessions = [Session(**one) for one in json.loads(content)["sessions"]]
        numbers = [value for one in sessions for value in asdict(one).values()]
        if not all(math.isfinite(value) and value >= 0 for value in numbers):
            raise ValueError(numbers)
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"the times of earlier sessions must be as --profile wrote them, got damage in "
            f"{where}; remove the file to go on without them"
        ) from None
    return sessions
