"""An MLflow tracking server on the loopback interface that is stopped and comes back."""

from __future__ import annotations

import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.processes import Command
from harness.tortured_study import environment

_PATIENCE_S = 180.0


class TrackingServer:
    """One server; its store and its artifacts outlive its processes."""

    def __init__(self, folder: Path, database: Path) -> None:
        """Choose a port; nothing runs yet.

        Args:
            folder: A new folder.
            database: SQLite file with MLflow's tables; a copy becomes the store.
        """
        folder.mkdir(parents=True)
        self._folder = folder
        shutil.copy(database, folder / "server.db")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._command: Command | None = None
        self._num_starts = 0

    @property
    def uri(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def store(self) -> str:
        """URI of its database, to be read when it does not run."""
        return f"sqlite:///{self._folder / 'server.db'}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            AssertionError: If it does not.
        """
        self._num_starts += 1
        words = [
            str(Path(sys.executable).with_name("mlflow")), "server",
            "--backend-store-uri", self.store,
            "--artifacts-destination", str(self._folder / "artifacts"),
            "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1",
        ]  # fmt: skip
        # Its queue of jobs is a process more, which nothing here needs.
        env = {**environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        log = self._folder / f"server-{self._num_starts}.log"
        self._command = Command(words, self._folder, env, log)
        start = time.monotonic()
        while not self._answers():
            waits = self._command.is_running and time.monotonic() - start < _PATIENCE_S
            assert waits, f"the MLflow server does not answer:\n{self._command.said()}"
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        if self._command is not None:
            self._command.kill_all()
            self._command = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
