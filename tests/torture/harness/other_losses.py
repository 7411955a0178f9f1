"""Losses apart from the driver's: a trial's process, the tracking server, a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from harness.driver_kills import Torture, cut_to_half
from harness.processes import Command, end
from harness.tortured_study import NUM_TRIALS
from harness.tracking_server import TrackingServer

_PATIENCE_S = 900.0


def lose_worker(torture: Torture, command: Command, generator: Random) -> None:
    """SIGKILL to one trial's process while it trains and there is a checkpoint."""
    study = torture.study
    wait_for(lambda: bool(study.unfinished("*", "checkpoint.pt")), command)
    time.sleep(generator.uniform(0, 1.0))
    killed: list[int] = []

    def kills_one() -> bool:
        training = [one for one in command.members() if one.is_training]
        if training:
            victim = generator.choice(training)
            if end(victim, command.pid):
                killed.append(victim.pid)
        return bool(killed)

    wait_for(kills_one, command)
    torture.note(f"killed the process of a trial that trained ({killed[0]})")


def lose_server(torture: Torture, command: Command, server: TrackingServer) -> None:
    """SIGKILL to the tracking server when a trial ends; it comes back after two more, or the last.

    The command does not end in the meantime: it waits for the server.
    """
    study = torture.study
    for num_more, act, event in (
        (1, server.kill, "killed the tracking server"),
        (2, server.start, "started it again"),
    ):
        goal = min(study.num_done + num_more, NUM_TRIALS)
        wait_for(lambda goal=goal: study.num_done >= goal, command)
        act()
        torture.note(event)


def lose_checkpoint(torture: Torture) -> Path:
    """Cut the newer of two checkpoints of a trial to half; nothing of the study runs.

    Returns:
        The trial's folder.
    """
    found = torture.study.unfinished("*", "checkpoint.pt", "checkpoint-previous.pt")
    assert found, "no trial has two checkpoints"
    cut_to_half(found[0] / "checkpoint.pt")
    torture.note(f"cut checkpoint.pt of {found[0].name} to half")
    return found[0]


def wait_for(holds: Callable[[], bool], command: Command) -> None:
    """Wait for a condition on a running study.

    Raises:
        AssertionError: If the command ends before, or nothing comes of it.
    """
    start = time.monotonic()
    while not holds():
        waits = command.is_running and time.monotonic() - start < _PATIENCE_S
        assert waits, f"the study ended or hangs:\n{command.said()}"
        time.sleep(0.01)
