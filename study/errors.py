"""What stops a study that had begun."""

from __future__ import annotations

from typing import Final

_DISK_FULL: Final = (
    "No space left on device",
    "Disk quota exceeded",
    "database or disk is full",
    "OutOfDiskError",
)


_LOST: Final = (
    "ActorDiedError",
    "RayActorError",
    "NodeDiedError",
    "ActorUnavailableError",
    "The actor died",  # Tune writes the words alone where it was the trial's own process
    "The actor is temporarily unavailable",
)


class StudyHaltedError(RuntimeError):
    """The study cannot go on now; what is done is kept, and the same command continues."""


def is_disk_full(text: str) -> bool:
    """Whether an error's text, of Python, SQLite or Ray, says that a disk is full."""
    return any(words in text for words in _DISK_FULL)


def is_lost(text: str) -> bool:
    """Whether the text of a trial's error says that its process or machine was lost."""
    return any(name in text for name in _LOST)
