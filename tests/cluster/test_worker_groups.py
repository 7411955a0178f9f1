"""Trials of several workers: none waits for ever, and what is lost changes nothing."""

import os
import signal

import pytest

WORKER, LEADER = "RayTrainWorker", "ImplicitFunc"
TIMES = (
    "perf/patches_per_s", "perf/train_s", "perf/eval_s", "perf/test_s", "perf/peak_memory_mib",
)  # fmt: skip


def _lasting(record):
    """What a trial recorded, but for how long it took."""
    measures = {name: value for name, value in record["metrics"].items() if name not in TIMES}
    return {name: record[name] for name in ("trial", "score", "converged", "history")} | measures


@pytest.mark.slow
@pytest.mark.skipif(
    "UREC_TORTURE_MOMENTS" not in os.environ, reason="`make torture` takes its time"
)
def test_groups_take_turns_and_what_is_lost_changes_nothing(make_study):
    """Four trials that want both CPUs each; of one a worker is killed, and then what leads it."""
    options = {"space": "label_frac=1", "trials": 1, "seeds": 2, "workers": 2, "gpus": 0}
    options |= {"steps": 40, "num_validations": 8}
    disturbed = make_study("disturbed", **options)
    disturbed.start()
    key = "confirm-urec-f1.00-s1"
    for kind in (WORKER, LEADER):
        saved = disturbed.trials / key / "checkpoint.pt"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        disturbed.wait_for(
            lambda saved=saved, before=before: saved.exists() and saved.stat().st_mtime_ns > before,
            f"a checkpoint before {kind} is lost",
        )
        os.kill(disturbed.actors(kind)[0], signal.SIGKILL)
    disturbed.finish()
    found = disturbed.results()
    assert len(found) == 4
    assert {record["metrics"]["perf/workers"] for record in found.values()} == {2}
    lost = {file.parent.name: file.read_text() for file in disturbed.trials.glob("*/failures.txt")}
    assert lost == {key: "2"}
    assert list(disturbed.trials.glob("*/checkpoint*")) == []

    undisturbed = make_study("undisturbed", models=["urec"], **options)
    undisturbed.start()
    undisturbed.finish()
    assert key in undisturbed.results()
    for other, record in undisturbed.results().items():
        assert _lasting(found[other]) == _lasting(record), other
    for name in ("confusion.json", "picture.png"):  # what the final weights predict
        one, other = (study.trials / key / name for study in (disturbed, undisturbed))
        assert one.read_bytes() == other.read_bytes(), name
