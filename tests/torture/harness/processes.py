"""Processes of a command, found in /proc by the session that it started them in."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ORPHANS_MAY_STAY_S = 60.0
_HELPERS_MAY_STAY_S = 2.0


@dataclass(frozen=True)
class Process:
    """One process; its start time tells it from a later one of the same pid."""

    pid: int
    started: int
    command: str

    @property
    def is_trial(self) -> bool:
        """Whether it is a process that Ray gave to trials: it writes into their folders."""
        return self.command.startswith("ray::ImplicitFunc")

    @property
    def is_training(self) -> bool:
        """Whether a trial runs in it now."""
        return self.command.startswith("ray::ImplicitFunc.train")


def session_members(session: int) -> list[Process]:
    """Living processes of a session, zombies not counted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            process = _read(folder, session)
            if process is not None:
                found.append(process)
    return found


def end(process: Process, session: int) -> bool:
    """SIGKILL to this very process; whether it still lived, and did what it was seen to do."""
    if _read(Path("/proc") / str(process.pid), session) != process:
        return False
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _read(folder: Path, session: int) -> Process | None:
    try:
        # The name, in parentheses, may hold spaces and parentheses itself.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        state, its_session, started = fields[0], int(fields[3]), int(fields[19])
        if its_session != session or state in "ZX":
            return None
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended while it was looked at
    return Process(int(folder.name), started, command.strip())


class Command:
    """A command in a session of its own, with its output in a file."""

    def __init__(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        """Start it."""
        self.log = log
        with log.open("wb") as file:
            self._popen = subprocess.Popen(
                words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.pid = self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether the command itself, not what it started, runs."""
        return self._popen.poll() is None

    def members(self) -> list[Process]:
        """The command and all that it started."""
        return session_members(self.pid)

    def wait(self, timeout_s: float) -> int:
        """Exit status of the command.

        Raises:
            subprocess.TimeoutExpired: If it does not end.
        """
        return self._popen.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL to the command alone."""
        self._popen.kill()
        self._popen.wait()

    def kill_all(self, first: Collection[int] = ()) -> None:
        """SIGKILL to the command and all that it started, as when a machine goes down.

        Args:
            first: Pids of those that go before the others.
        """
        members = sorted(
            self.members(), key=lambda one: (one.pid not in first, one.pid != self.pid)
        )
        while members:  # again: a process may have started one in the meantime
            for one in members:
                end(one, self.pid)
            time.sleep(0.02)
            members = self.members()
        self._popen.wait()

    def settle(self) -> tuple[float, list[str]]:
        """Wait until nothing is left of a command that has ended; end what stays.

        Returns:
            Seconds until no trial's process was left, and what had to be ended, one text each.
        """
        start = time.monotonic()
        while any(one.is_trial for one in self.members()):
            if time.monotonic() - start > _ORPHANS_MAY_STAY_S:
                break
            time.sleep(0.1)
        waited_s = time.monotonic() - start
        while self.members() and time.monotonic() - start - waited_s < _HELPERS_MAY_STAY_S:
            time.sleep(0.1)
        left = self.members()
        self.kill_all()
        return waited_s, [f"{one.pid} {_short(one.command)}" for one in left]

    def said(self, num_lines: int = 15) -> str:
        """The end of its output."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-num_lines:])


def _short(command: str) -> str:
    """`python .../dashboard.py`: the program and the script, without options."""
    words = [word for word in command.split() if not word.startswith("-")]
    return " ".join(Path(word).name if "/" in word else word for word in words[:2])
