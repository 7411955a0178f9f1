"""A short calibration run: how long trials take here, as many at once as in a study."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import torch

from trainables.errors import ConfigError
from trainables.settings.config import TrialConfig
from trainables.settings.processes import end_with_parent, keep_freed_memory
from trainables.trial.microbenchmark import Sample, Timings, measure_timings

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

LIMIT_S: Final = 4.0
"""About how long each process trains each network."""
_MOST_PROCESSES: Final = 4
_NICENESS: Final = 15
"""Ray's workers have it: beside other work on the machine, trials come second."""
_FIXED_STARTS: Final = 10.0
"""What a study takes beside reading tiles and running trials, in starts of a process.

It is mostly imports: of MLflow, Ray and Tune, of the first trial's process, of the report. So it
grows with a slow or busy machine as the start of a calibrating process does.
"""
_TRIAL_STARTS: Final = 0.2
"""The same for what a trial takes beside the network: its files, its records, the next one."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the calibration run found."""

    timings: Mapping[str, Timings]
    """By the names of the trials measured; means over the processes."""
    start_s: float
    """From asking for a process until it could train."""
    taken_s: float
    """By the run itself."""
    share: float = 1.0
    """The share of the CPU time that training asked for and got beside other work, in (0, 1]."""
    start_share: float = 1.0
    """The same while the processes started."""

    @property
    def fixed_s(self) -> float:
        """What a study takes beside reading tiles and running trials."""
        return _FIXED_STARTS * self.start_s

    def idle(self) -> Calibration:
        """The same without other work on the machine."""
        timings = {
            name: Timings(
                **{part: taken_s * self.share for part, taken_s in asdict(timing).items()}
            )
            for name, timing in self.timings.items()
        }
        start_s = self.start_s * self.start_share
        return replace(self, timings=timings, start_s=start_s, share=1.0, start_share=1.0)

    def trial_s(self, name: str, trial: TrialConfig) -> float:
        """A whole trial, by the timings of that name."""
        return self.timings[name].trial_s(trial) + _TRIAL_STARTS * self.start_s


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What one process measures."""

    trials: Mapping[str, TrialConfig]
    sample: Sample
    device: str
    num_threads: int
    limit_s: float


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What one process found."""

    ready_at: float
    """Seconds since the epoch when it could train."""
    timings: Mapping[str, Timings]
    share: float
    """As in `Calibration`."""
    start_share: float


def calibrate(
    trials: Mapping[str, TrialConfig],
    sample: Sample,
    *,
    num_processes: int,
    cpus: float,
    num_gpus: int,
    limit_s: float = LIMIT_S,
) -> Calibration:
    """Measure trials in as many fresh processes as will run at once, since they share memory.

    Args:
        trials: One of each kind, by a name; measured one after the other, each in all processes.
        sample: What to train on.
        num_processes: Trials at once; more than four are measured as four.
        cpus: CPUs of a trial.
        num_gpus: GPUs to train on, in turn; 0 for the CPU.
        limit_s: About how long to train, each trial.

    Raises:
        ConfigError: If a trial does not fit the memory.
    """
    start = time.time()
    jobs = [
        _Job(
            trials=trials,
            sample=sample,
            device=f"cuda:{index % num_gpus}" if num_gpus else "cpu",
            num_threads=max(1, int(cpus)),
            limit_s=limit_s,
        )
        for index in range(min(num_processes, _MOST_PROCESSES))
    ]
    found = _run_jobs(jobs)
    return Calibration(
        timings={name: _mean([one.timings[name] for one in found]) for name in trials},
        start_s=fmean(one.ready_at for one in found) - start,
        taken_s=time.time() - start,
        share=fmean(one.share for one in found),
        start_share=fmean(one.start_share for one in found),
    )


def _run_jobs(jobs: Sequence[_Job]) -> list[_Found]:
    """Run one process per job, all at once; none is left behind."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    barrier = context.Barrier(len(jobs))
    processes, ends = [], []
    try:
        for job in jobs:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(job, barrier, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            ends.append(ours)
        return _collect(ends)
    finally:
        for process in processes:
            process.terminate()
            process.join()
            process.close()


def _collect(ends: Sequence[Connection]) -> list[_Found]:
    """What all processes found, or what went wrong in the first that failed."""
    found, open_ends = [], list(ends)
    while open_ends:
        for end in wait(open_ends):
            assert isinstance(end, Connection)
            try:
                answer = end.recv()
            except EOFError:
                raise ConfigError(
                    "a trial must fit the memory, got a process that was killed while calibrating; "
                    "lower --concurrent or batch_size"
                ) from None
            if isinstance(answer, torch.OutOfMemoryError):
                raise ConfigError(
                    f"a trial must fit the memory of its GPU, got {str(answer).splitlines()[0]!r}; "
                    "lower batch_size or patch_px"
                ) from answer
            if isinstance(answer, BaseException):
                raise answer
            found.append(answer)
            open_ends.remove(end)
    return found


def _work(job: _Job, barrier: Barrier, answer: Connection) -> None:
    """A process of its own: measures, and sends what it found or what went wrong."""
    ready_at = time.time()
    end_with_parent()
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study's process ends this one
    torch.set_num_threads(job.num_threads)
    keep_freed_memory()  # as trials do
    try:
        started, timings = _scheduled_s(), {}
        for name, trial in job.trials.items():
            barrier.wait()
            device = torch.device(job.device)
            timings[name] = measure_timings(trial, job.sample, device=device, limit_s=job.limit_s)
        found = _Found(
            ready_at=ready_at,
            timings=timings,
            share=_share(started, _scheduled_s()),
            start_share=_share((0.0, 0.0), started),
        )
        answer.send(found)
    except BaseException as error:
        answer.send(error)
        raise


def _scheduled_s() -> tuple[float, float]:
    """Seconds that this thread ran, and that it waited for a CPU; zeros where nobody counts."""
    try:
        ran_ns, waited_ns, _ = Path("/proc/thread-self/schedstat").read_text().split()
    except OSError:  # not Linux
        return 0.0, 0.0
    return int(ran_ns) / 1e9, int(waited_ns) / 1e9


def _share(before: tuple[float, float], after: tuple[float, float]) -> float:
    ran_s, waited_s = after[0] - before[0], after[1] - before[1]
    return ran_s / (ran_s + waited_s) if ran_s > 0 else 1.0


def _mean(timings: Sequence[Timings]) -> Timings:
    names = [field.name for field in fields(Timings)]
    means: dict[str, Any] = {name: fmean(getattr(one, name) for one in timings) for name in names}
    return Timings(**means)
