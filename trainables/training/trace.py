"""A trace of some steps of a trial, and a table of its operators, by torch's own profiler."""

from __future__ import annotations

import gzip
import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile, schedule

from trainables.settings.config import TrainingConfig
from trainables.storage.atomic_files import write_atomically
from trainables.training.stopwatch import Stopwatch

PROFILE: Final = "profile"
"""Folder of both files, below a trial's folder and among the artifacts of its run."""
TRACE: Final = "trace.json.gz"
OPERATORS: Final = "operators.txt"

_ACTIVE: Final = 3
"""Steps that are traced: each makes some thousand events, which torch counts slowly."""
_WARMUP: Final = 3
"""Steps in which the profiler runs and keeps nothing: its first ones are slow."""
_VALIDATION_BATCHES: Final = 64
"""Batches of the largest validation that is traced: no viewer opens the trace of a larger one."""
_NUM_OPERATORS: Final = 60


class Tracer:
    """Traces the steps before the next validation and, if it is small, that validation.

    As a context manager it ends the profiler if the trial fails meanwhile: the next trial of this
    process must not go on with it.
    """

    def __init__(
        self,
        folder: Path | None,
        device: torch.device,
        watch: Stopwatch,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """Trace nothing yet.

        Args:
            folder: Where the files go; None: nothing is traced at all.
            device: Where the trial computes.
            watch: Names the parts of the trial in the trace; the time of writing is `trace`'s.
            on_written: Called when both files are there.
        """
        self._folder = folder
        self._device = device
        self._watch = watch
        self._on_written = on_written
        self._profiler: profile | None = None
        self._sees_validation = False

    def __enter__(self) -> Tracer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None

    def begin(self, num_steps: int, num_batches: int) -> None:
        """Get ready.

        Args:
            num_steps: Steps up to the next validation; the last of them are traced.
            num_batches: Batches of a validation.
        """
        if self._folder is None or num_steps == 0:
            return
        self._sees_validation = num_batches <= _VALIDATION_BATCHES
        warmup = min(_WARMUP, num_steps - 1)
        active = min(_ACTIVE, num_steps - warmup)
        activities = [ProfilerActivity.CPU]
        if self._device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        with warnings.catch_warnings():  # a trial of one step has no warm-up
            warnings.filterwarnings("ignore", message=".*warmup.*")
            when = schedule(wait=num_steps - warmup - active, warmup=warmup, active=active)
        self._profiler = profile(activities=activities, schedule=when)
        self._profiler.start()

    def step(self) -> None:
        """Say that a step is done that no validation follows."""
        if self._profiler is not None:
            self._profiler.step()

    def before_validation(self) -> None:
        """Say that a step is done that a validation follows."""
        if self._profiler is not None and not self._sees_validation:
            self._end(self._profiler)

    def after_validation(self) -> None:
        """Say that a validation is done."""
        if self._profiler is not None:
            self._end(self._profiler)

    def _end(self, profiler: profile) -> None:
        """Stop and write the files, the trace last: with it the trial has been traced."""
        assert self._folder is not None
        self._profiler = None
        with self._watch.part("trace"):
            profiler.stop()  # which collects the events, slowly
            order = "self_cpu_time_total"
            if self._device.type == "cuda":
                order = "self_device_time_total"
            table = profiler.key_averages().table(sort_by=order, row_limit=_NUM_OPERATORS)
            write_atomically(self._folder / OPERATORS, table.encode())
            with tempfile.TemporaryDirectory() as scratch:
                exported = Path(scratch) / "trace.json"
                profiler.export_chrome_trace(str(exported))
                write_atomically(self._folder / TRACE, gzip.compress(exported.read_bytes(), 6))
            self._on_written()


NO_TRACE: Final = Tracer(None, torch.device("cpu"), Stopwatch(torch.device("cpu"), None))
"""Traces nothing."""


def validation_batches(shapes: NDArray[np.int64], training: TrainingConfig) -> int:
    """About how many batches of windows a validation has, over tiles of these shapes (T, 2)."""
    of_batch = training.batch_size * training.infer_step_px**2
    return math.ceil(int(shapes.prod(axis=1).sum()) / of_batch)


def find_trace(trials: Path) -> Path | None:
    """The trace of a study's trial, or None where no trial left one.

    Args:
        trials: Folder of the trials' folders.
    """
    return next(iter(sorted(trials.glob(f"*/{PROFILE}/{TRACE}"))), None)
