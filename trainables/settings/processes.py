"""How a process ends and what it does with memory, where the system's default does not fit."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Parameters of glibc's `mallopt`, by their numbers in malloc.h."""


def end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it takes none along."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent != 1:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, until it ends; whether the system can (glibc).

    glibc returns large blocks to the system, which clears them page by page when they are asked for
    again, as every step of a training does: a tenth of a step in float32 at the published widths.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:  # another C library
        return False
    return bool(set_option(_MMAP_MAX, 0)) and bool(set_option(_TRIM_THRESHOLD, -1))
