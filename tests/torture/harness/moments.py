"""When the driver is killed: five kinds of moments, each drawn from a generator."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from harness.processes import Command
from harness.tortured_study import NUM_TRIALS, TorturedStudy

START_UP, SEARCH, CHECKPOINT, CONFIRMATION, REPORT = KINDS = (
    "start-up", "search", "checkpoint", "confirmation", "report",
)  # fmt: skip
"""In the order in which one study meets them."""
FEWEST_KINDS = (SEARCH, CHECKPOINT, REPORT)
"""With which the other losses still come: a worker's, a checkpoint's and the server's."""

_PATIENCE_S = 900.0


@dataclass(frozen=True)
class Moment:
    """A condition on the study's files, and seconds to wait once it holds."""

    kind: str
    what: str
    """The condition in words."""
    holds: Callable[[], bool]
    then_s: float = 0.0
    takes_all: bool = False
    """Whether all processes die at once, not the driver alone."""


class MissedMomentError(Exception):
    """The study ended, or did not come so far, before the moment."""


def kinds_of_round(number: int, generator: Random) -> list[str]:
    """The five kinds in the order of one study; in odd rounds a later start-up is struck."""
    later = list(KINDS[1:])
    later.insert(generator.randint(1, len(later)) if number % 2 else 0, START_UP)
    return later


def draw_moment(kind: str, study: TorturedStudy, generator: Random) -> Moment:
    """A moment of a kind; `study` must not have been launched for it yet."""
    draw = {
        START_UP: _start_up,
        SEARCH: _search,
        CHECKPOINT: _checkpoint,
        CONFIRMATION: _confirmation,
        REPORT: _report,
    }[kind]
    return draw(study, generator)


def strike(command: Command, study: TorturedStudy, moment: Moment) -> None:
    """Wait for the moment and kill the driver.

    Raises:
        MissedMomentError: If the command ended before.
    """
    start = time.monotonic()
    while not moment.holds():
        if time.monotonic() - start > _PATIENCE_S or not command.is_running:
            raise MissedMomentError(f"{moment.kind} ({moment.what}) never came:\n{command.said()}")
        time.sleep(0.002)
    time.sleep(moment.then_s)
    if not command.is_running:
        raise MissedMomentError(f"{moment.kind} ({moment.what}): ended before\n{command.said()}")
    if moment.takes_all:
        command.kill_all(first={int(file.name.split(".")[-2]) for file in study.partials()})
    else:
        command.kill()


def _start_up(study: TorturedStudy, generator: Random) -> Moment:
    """Some time after the command was given, or after something that it leaves has appeared."""
    # The first is MLflow's database while its tables are made, a few seconds.
    signs = {".mlflow.db.*.partial": 4.0, "budgets": 1.0, "optuna.db": 1.0, "tune": 4.0}
    what = generator.choice(["", *signs])
    if not what or study.folder.exists():  # of a continued study all are there
        return Moment(
            kind=START_UP,
            what="the command was given",
            holds=lambda: True,
            then_s=generator.uniform(0, 12.0),
        )
    folder = study.cwd if "mlflow" in what else study.folder
    return Moment(
        kind=START_UP,
        what=f"{what} is there",
        holds=lambda: any(folder.glob(what)),
        then_s=generator.uniform(0, signs[what]),
    )


def _search(study: TorturedStudy, generator: Random) -> Moment:
    num = generator.randint(0, 2)
    return Moment(
        kind=SEARCH,
        what=f"{num} trials done, a search trial trains",
        holds=lambda: study.num_done >= num and bool(study.unfinished("search-*", "checkpoint.pt")),
        then_s=generator.uniform(0, 1.5),
    )


def _checkpoint(study: TorturedStudy, generator: Random) -> Moment:
    num = generator.randint(2, 5)
    old = {file.name for file in study.partials()}  # of those who died before

    def is_third(file: Path) -> bool:
        both = ("checkpoint.pt", "checkpoint-previous.pt")
        return file.name not in old and all((file.parent / name).exists() for name in both)

    return Moment(
        kind=CHECKPOINT,
        what=f"{num} trials done, a checkpoint is written beside two others",
        holds=lambda: study.num_done >= num and any(map(is_third, study.partials())),
        takes_all=True,
    )


def _confirmation(study: TorturedStudy, generator: Random) -> Moment:
    num = generator.randint(5, 8)
    return Moment(
        kind=CONFIRMATION,
        what=f"{num} trials done, a confirmation trial trains",
        holds=lambda: (
            study.num_done >= num and bool(study.unfinished("confirm-*", "checkpoint.pt"))
        ),
        then_s=generator.uniform(0, 1.5),
    )


def _report(study: TorturedStudy, generator: Random) -> Moment:
    """After the last trial, or once the report's files change."""
    if generator.random() < 0.5:
        return Moment(
            kind=REPORT,
            what="all trials are done",
            holds=lambda: study.num_done == NUM_TRIALS,
            then_s=generator.uniform(0, 2.0),
        )
    given_ns = time.time_ns()
    return Moment(
        kind=REPORT,
        what="the report is written",
        holds=lambda: any(
            file.stat().st_mtime_ns > given_ns for file in (study.folder / "report").rglob("*")
        ),
        then_s=generator.uniform(0, 0.5),
    )
