"""How far a running study is, in a terminal: `python -m analysis watch NAME`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from analysis.page.running import MOST_RUNNING, StudyProgress, read_progress
from analysis.reading.sources.store import StoreAwayError
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, percent, score
from contract.mlflow_store.logins import hide_logins
from contract.terminal import writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EVERY_S = 5.0
"""Seconds between two looks at the record."""
_TOP, _REST = "\x1b[H", "\x1b[J"
"""To a terminal: go to its first line; clear from here."""
_SILENT_S = 600.0
"""From so many seconds without news on it is said that there are none."""
_MOST_SCORES = 30
"""Most of the last validations of a trial that are drawn."""
_BARS = "▁▂▃▄▅▆▇█"
"""From the lowest score of a trial to its highest."""
_LEAST_SPAN = 0.2
"""Scores that are closer together than this are drawn as what they are: nearly level."""

Sleep = Callable[[float], None]


def watch(
    name: str,
    tracking_uri: str | None = None,
    *,
    once: bool = False,
    stream: TextIO | None = None,
    sleep: Sleep = time.sleep,
    now: Callable[[], float] = time.time,
) -> int:
    """Shows how far a study is until it ends.

    A terminal is written anew every few seconds; another stream gets what has changed. A store that
    is away is told in one line, and asked again; with `once` it is an error.

    Args:
        name: The study.
        tracking_uri: As in `store.resolve_tracking_uri`.
        once: Whether to show it once, and not wait.
        stream: Where to; None for standard output.
        sleep: Waits for so many seconds.
        now: Seconds since 1970.

    Returns:
        0 where it was shown, 1 where the study does not run.

    Raises:
        UnknownStudyError: If there is no such study; it lists those there are.
        StoreAwayError: With `once`, if the store does not answer.
        StudyDataError: If a record does not keep the contract.
    """
    screen = _Screen(stream or sys.stdout)
    was_shown = False
    while True:
        try:
            progress = read_progress(name, tracking_uri, now())
        except StoreAwayError as error:
            if once:
                raise
            screen.add(f"{hide_logins(str(error))} (asked again every {EVERY_S:g} s)")
        else:
            if not progress.is_running and not was_shown:
                screen.add(_ended(progress))
                return 1
            screen.show(progress_text(progress))
            was_shown = True
            if not progress.is_running:
                screen.add(_ended(progress))
            if once or not progress.is_running:
                return 0
        sleep(EVERY_S)


def progress_text(progress: StudyProgress) -> str:
    """Trials done, curves of validation tiles so far, and the time left; no test score.

    Args:
        progress: As from `running.read_progress`.
    """
    parts = [
        f"{progress.num_done} of {counted(progress.num_trials, 'trial')} done",
        f"{len(progress.running)} running",
    ]
    if progress.num_failed:
        parts.append(f"{progress.num_failed} failed")
    left = progress.seconds_left
    parts.append("estimating time left" if math.isnan(left) else f"about {_clock(left)} left")
    label = SCORE_LABELS[progress.select_by]
    rows = [["labels", "model", "search", "confirmation", "failed", f"best validation {label}"]]
    rows += [
        [
            percent(arm.label_frac),
            arm.label,
            f"{arm.num_searched} of {arm.num_search}" if arm.num_search else "none",
            f"{arm.num_confirmed} of {arm.num_confirm}",
            str(arm.num_failed or ""),
            score(arm.best_score),
        ]
        for arm in progress.arms
    ]
    lines = [f"{progress.name}: {', '.join(parts)}", "", *_columns(rows)]
    if progress.running:
        lines.append("")
    for one in progress.running[:MOST_RUNNING]:
        steps = "" if math.isnan(one.steps) else f" of {one.steps:.0f}"
        curve = f", validation {label} {_curve(one.scores)}" if one.scores else ""
        lines.append(f"{one.key}: step {one.step}{steps}{curve}")
    if len(progress.running) > MOST_RUNNING:
        lines.append(f"and {len(progress.running) - MOST_RUNNING} more that run")
    lines += ["", "Validation tiles alone: test tiles are compared in the report, not here."]
    if progress.look:
        lines.append(progress.look)
    if progress.is_running and progress.silent_s > _SILENT_S:
        lines.append(
            f"Nothing was recorded for {_clock(progress.silent_s)}: if the command that runs the "
            "study was killed, the same command continues it."
        )
    return "\n".join(lines)


def _ended(progress: StudyProgress) -> str:
    """Why there is nothing to watch, or no longer."""
    how = {"stopped": "was stopped; the same command continues it", "finished": "has ended"}
    return (
        f"Study {progress.name} does not run: it {how.get(progress.status, 'ended with failures')} "
        f"({progress.num_done} of {counted(progress.num_trials, 'trial')} done). "
        f"`python -m analysis report {progress.name}` shows what was found."
    )


class _Screen:
    """A terminal that is written over, or a stream that is written on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last = ""
        self._is_clear = False

    def show(self, text: str) -> None:
        """Writes the whole state, unless it is the one that stands there."""
        if text == self._last:
            return
        self._last = text
        if self._is_terminal:
            clear = "" if self._is_clear else "\x1b[2J"
            self._is_clear = True
            self._stream.write(f"{clear}{_TOP}{_REST}")
        self._write(text)

    def add(self, line: str) -> None:
        """Writes one line below, unless it was the last one written."""
        if line != self._last:
            self._last = line
            self._write(line)

    def _write(self, text: str) -> None:
        self._stream.write(f"{writable(text, getattr(self._stream, 'encoding', None))}\n")
        self._stream.flush()


def _columns(rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _curve(scores: Sequence[float]) -> str:
    """A bar for every score, of many for the last ones, and the last score."""
    lowest = min(scores)
    span = max(max(scores) - lowest, _LEAST_SPAN)
    places = [int((one - lowest) / span * len(_BARS)) for one in scores[-_MOST_SCORES:]]
    bars = "".join(_BARS[min(place, len(_BARS) - 1)] for place in places)
    cut = "\N{HORIZONTAL ELLIPSIS}" if len(scores) > _MOST_SCORES else ""
    return f"{cut}{bars} {score(scores[-1])}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
