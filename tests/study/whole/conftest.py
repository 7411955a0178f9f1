"""Studies that are run in this process, without Ray.

What takes its place asks the searcher for tasks as Ray Tune does, and does them one after another.
"""

import contextlib
from types import SimpleNamespace

import pytest
import ray
import torch
from ray.tune.search import Searcher

import run_study
from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials
from analysis.tables.comparison import comparison
from study import runner
from study.machines import machines
from trainables.settings.process_group import ALONE
from trainables.trial.run import TASK
from trainables.trial.work import do_trial

FAILS_ONCE = "search-urec-f1.00-t001"


def run_without_ray(config, searcher, scheduler, callback, gpus, *, after=lambda: None):
    """Stands for Ray Tune: one trial after the other, in this process; one of them fails once."""
    failed = set()
    while (given := searcher.suggest("")) != Searcher.FINISHED:
        task = given[TASK]
        shown = SimpleNamespace(
            config=given, error_file=str(config.folder / "none"), max_failures=2,
            metric_analysis={}, metric_n_steps={},
        )  # fmt: skip
        callback.on_trial_start(0, [], shown)
        if task.trial.key == FAILS_ONCE and not (task.folder / "failures.txt").exists():
            failed.add(task.trial.key)
            callback.on_trial_recover(0, [], shown)
            callback.on_trial_start(0, [], shown)

        def report(result, shown=shown):
            assert scheduler.on_trial_result(None, shown, result) == "CONTINUE"
            callback.on_trial_result(0, [], shown, result)

        do_trial(task, ALONE, torch.device("cpu"), report)
        callback.on_trial_complete(0, [], shown)
        callback.on_step_end(0, [])
        after()


def print_table(outcome) -> int:
    """Stands for the report, whose figures take seconds."""
    record = load_study(outcome.name, outcome.tracking_uri)
    print(comparison(record, score_trials(record)).to_csv(index=False))
    return 0 if outcome.is_complete else 1


@pytest.fixture(scope="module")
def patched():
    """Commands run without Ray."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "ray_on_this_machine", lambda *_: contextlib.nullcontext())
        patch.setattr(runner, "run_with_tune", run_without_ray)
        patch.setattr(run_study, "report", print_table)
        patch.setattr(ray, "put", lambda held: held)
        patch.setattr(ray, "get", lambda held: held)
        patch.setattr(torch, "set_num_threads", lambda count: None)
        patch.setattr("trainables.trial.work.keep_freed_memory", lambda: None)
        yield patch


@pytest.fixture
def run_and_then(patched, monkeypatch):
    """Has studies of this test call something after each trial."""

    def call(after):
        def run(*given):
            run_without_ray(*given, after=after)

        monkeypatch.setattr(runner, "run_with_tune", run)

    return call
