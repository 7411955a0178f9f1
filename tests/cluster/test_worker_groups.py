"""Trials of several workers: none waits for ever, and a lost worker changes nothing."""

import os
import signal
from pathlib import Path

import pytest

TIMES = ("perf/patches_per_s", "perf/train_s", "perf/eval_s", "perf/peak_memory_mib")


def _workers() -> list[int]:
    """Process ids of the Ray Train workers on this machine that train, not of idle ones."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if name.startswith(b"ray::") and b"RayTrainWorker" in name:
            found.append(int(folder.name))
    return found


def _lasting(record):
    """What a trial recorded, but for how long it took."""
    measures = {name: value for name, value in record["metrics"].items() if name not in TIMES}
    return {name: record[name] for name in ("trial", "score", "converged", "history")} | measures


@pytest.mark.slow
def test_groups_take_turns_and_a_lost_worker_changes_nothing(make_study):
    """Six trials that want both CPUs each; of one, a worker is killed between checkpoints."""
    both = {"space": "label_frac=1", "trials": 1, "workers": 2, "gpus": 0, "retries": 2}
    disturbed = make_study(
        "disturbed", seeds=2, concurrent=2, steps=120, num_validations=12, **both
    )
    disturbed.start()
    disturbed.wait_for(
        lambda: (
            any(disturbed.trials.glob("confirm-urec-*-s1/checkpoint.pt")) and len(_workers()) > 1
        ),
        "a checkpoint",
    )
    os.kill(_workers()[0], signal.SIGKILL)
    disturbed.finish()
    found = disturbed.results()
    assert len(found) == 6
    assert {record["metrics"]["perf/workers"] for record in found.values()} == {2}
    lost = [key for key in found if (disturbed.trials / key / "failures.txt").exists()]
    assert lost == ["confirm-urec-f1.00-s1"]
    assert list(disturbed.trials.glob("*/checkpoint*")) == []

    undisturbed = make_study("undisturbed", seeds=1, models=["urec"], **both)
    undisturbed.start()
    undisturbed.finish()
    for key, record in undisturbed.results().items():
        assert _lasting(found[key]) == _lasting(record), key
    for name in ("confusion.json", "picture.png"):  # what the final weights predict
        one, other = (study.trials / lost[0] / name for study in (disturbed, undisturbed))
        assert one.read_bytes() == other.read_bytes()
