"""Processes that this project starts beside Ray's."""

from __future__ import annotations

import os
import threading
import time


def end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it takes none along."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent != 1:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
