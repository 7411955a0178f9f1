"""What a trial costs before its first step, against a Tune trial that does nothing.

`python benchmarks/trial_start.py [--trials 20] [--rounds 3]`

One slot, whose actor is warm after its first trial. Measured is the time between two trials: from
the last word of one, that it has finished, to the first step of the next one (the study), or to
its first statement (the Tune trial). The study trains U-REC of width 4 for 30 steps on tiny tiles;
the difference of the medians is what searcher, task, files and building the network take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from timing import (
    add_common_options,
    figures_table,
    measure_in_turns,
    surroundings,
    surroundings_line,
    write_json,
)

_GOAL_S = 0.5


def note(file: str, what: str) -> None:
    """Append a moment to a file."""
    with Path(file).open("a") as stream:
        stream.write(f"{what} {time.time()!r}\n")


def no_op(given: dict[str, Any]) -> None:
    """A Tune trial that reports and ends."""
    from ray import tune

    note(given["moments"], "step")
    tune.report({"score": 0.0})
    note(given["moments"], "end")


def noted_trial(given: dict[str, Any]) -> None:
    """`run_trial`, which notes its first step and its end."""
    import trainables.training.step
    from trainables.trial.run import run_trial

    file = str(given["task"].folder.parent.parent / "moments.txt")
    usual = trainables.training.step.Step.take
    taken: list[bool] = []

    def take(self: Any, batch: Any) -> Any:
        if not taken:
            note(file, "step")
        taken.append(True)
        return usual(self, batch)

    trainables.training.step.Step.take = take  # type: ignore[method-assign]
    try:
        run_trial(given)
    finally:
        trainables.training.step.Step.take = usual  # type: ignore[method-assign]
        note(file, "end")


def gaps(file: Path) -> list[float]:
    """Seconds from the end of every trial to the first step of the next one."""
    moments = [line.split() for line in file.read_text().splitlines()]
    at = {what: [float(when) for name, when in moments if name == what] for what in ("step", "end")}
    return [step - end for end, step in zip(at["end"], at["step"][1:], strict=False)]


def run_tune(num_trials: int) -> float:
    """Median gap of Tune trials that do nothing."""
    import ray
    from ray import tune

    # As in a study: no loggers and no snapshots of Tune's own.
    os.environ |= {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_GLOBAL_CHECKPOINT_S": "1e9"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "moments.txt"
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        tune.Tuner(
            tune.with_resources(no_op, {"cpu": 1}),
            param_space={"moments": str(file)},
            tune_config=tune.TuneConfig(num_samples=num_trials, reuse_actors=True),
            run_config=tune.RunConfig(name="tune", storage_path=folder, verbose=0),
        ).fit()
        ray.shutdown()
        return statistics.median(gaps(file))


def run_study(num_trials: int) -> float:
    """Median gap of the trials of a study."""
    from blank_study import blank_config

    import study.tune.tuning
    from study.runner import run_study as run

    study.tune.tuning.run_trial = noted_trial
    with tempfile.TemporaryDirectory() as folder:
        config = blank_config(
            Path(folder),
            space="w1,lr,label_frac=1",
            models=["urec"],
            trials=num_trials - 2,
            seeds=2,
            concurrent=1,
            width=4,
            infer_window_px=64,
            infer_step_px=64,
        )
        run(config)
        return statistics.median(gaps(config.folder / "moments.txt"))


def measure(which: str, num_trials: int) -> float:
    """One of both in a process of its own."""
    command = [sys.executable, __file__, "--one", which, "--trials", str(num_trials)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(json.loads(output.splitlines()[-1]))


def main() -> None:
    """Measure both in turns and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--one", choices=("tune", "study"), help=argparse.SUPPRESS)
    add_common_options(parser, rounds=3)
    options = parser.parse_args()
    if options.one is not None:
        run = run_tune if options.one == "tune" else run_study
        print(json.dumps(run(options.trials)))
        return
    before = surroundings()
    print(surroundings_line(before), flush=True)
    figures = measure_in_turns(
        {
            "Tune trial that does nothing": lambda: measure("tune", options.trials),
            "trial of a study": lambda: measure("study", options.trials),
        },
        rounds=options.rounds,
        warm_ups=0,
    )
    print(figures_table(figures, "from one trial to the next, seconds"))
    none, own = figures.values()
    more = [b - a for a, b in zip(none, own, strict=True)]
    print(
        f"more: {statistics.median(own) - statistics.median(none):.3f} s "
        f"({min(more):.3f} to {max(more):.3f} within rounds; goal: at most {_GOAL_S:g} s)"
    )
    write_json(options.json, before, figures)


if __name__ == "__main__":
    main()
