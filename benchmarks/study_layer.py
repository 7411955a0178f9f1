"""Trials that do nothing, through the whole study layer: plan, searcher, tracking, keys on disk.

`python benchmarks/study_layer.py [--trials 100 1000] [--rounds 3] [--plot FILE] [--cprofile FILE]`

What runs is `run_study`, with MLflow and Optuna in SQLite files, on ten arms (two models at five
annotation fractions, four search trials to one confirmation) and as many slots as CPUs; in the
place of `run_trial` stands a function that writes the record of a trial of one validation and
ends. Each study has a process of its own. Printed are the seconds of the study, from the reading of
the tiles to the last record in MLflow, the seconds per trial from the first task on (the start
of the actors and the last wait for MLflow are in them, and weigh more where trials are few; the
slope between the sizes has neither), and the driver's memory. `--cprofile` writes where the main
thread was in one more study of the largest size, which counts in no figure.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
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

_NUM_ARMS = 10
_SPACE = "w1,lr,label_frac=0.2/0.4/0.6/0.8/1"
_GOAL_S = 60.0
_GOAL_RATIO = 1.2


def no_op_trial(given: dict[str, Any]) -> None:
    """In the place of `trainables.trial.run.run_trial`: records an outcome without training."""
    from ray import tune

    task = given["task"]
    steps = task.trial.training.steps
    score = zlib.crc32(task.trial.key.encode()) / 2**32
    row = {"step": steps, "train/loss": 1.0, "train/loss_seg": 1.0, "train/lr": 1e-3}
    measures = ("oa", "kappa", "mean_f1", "miou", "mean_f1_all", "miou_all")
    row |= {f"val/{name}": score for name in measures}
    tune.report({"step": steps, "rows": [row], "score": score, "finished": False})
    record = {
        "trial": task.trial.to_plain(),
        "score": score,
        "converged": True,
        "metrics": {f"test/measure_{index}": 0.5 for index in range(40)},
        "history": [row],
        "damaged_checkpoints": [],
    }
    folder = task.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "confusion.json").write_text(json.dumps({"schema": 1, "tiles": []}))
    (folder / "picture.png").write_bytes(bytes(20_000))
    (folder / "result.json").write_text(json.dumps(record))
    tune.report({"step": steps, "rows": [], "score": score, "finished": True})


def run_one(num_trials: int, cprofile: str | None) -> dict[str, float]:
    """A study in this process; what its parts took."""
    from blank_study import blank_config

    import study.runner
    import study.tune.tuning

    asked: list[float] = []
    usual = study.runner.StudySearcher.suggest

    def suggest(self: Any, trial_id: str) -> Any:
        asked.append(time.perf_counter())
        return usual(self, trial_id)

    study.tune.tuning.run_trial = no_op_trial
    study.runner.StudySearcher.suggest = suggest  # type: ignore[method-assign]
    per_arm = num_trials // _NUM_ARMS
    seeds = max(1, per_arm // 5)
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        config = blank_config(
            Path(folder), space=_SPACE, budget_px=16, trials=per_arm - seeds, seeds=seeds
        )
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        if cprofile is not None:
            profiler.enable()
        outcome = study.runner.run_study(config)
        if cprofile is not None:
            profiler.disable()
            profiler.dump_stats(cprofile)
        end, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    if outcome.num_trials != num_trials or outcome.num_failed:
        raise RuntimeError(f"{num_trials} trials must finish, got {outcome}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "study_s": end - start,
        "per_trial_ms": (end - asked[0]) / num_trials * 1e3,
        "driver_cpu_per_trial_ms": cpu_s / num_trials * 1e3,
        "driver_mib": after.ru_maxrss / 2**10,
    }


def measure(num_trials: int, cprofile: str | None) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", str(num_trials)]
    if cprofile is not None:
        command += ["--cprofile", cprofile]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    """Measure studies of all sizes in turns and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="seconds over trials, PNG")
    parser.add_argument("--cprofile", metavar="FILE")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    add_common_options(parser, rounds=3)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(run_one(options.one, options.cprofile)))
        return
    before = surroundings()
    print(surroundings_line(before), flush=True)
    sizes = sorted(options.trials)
    found: dict[int, list[dict[str, float]]] = {num: [] for num in sizes}

    def once(num: int) -> float:
        found[num].append(measure(num, None))
        return found[num][-1]["study_s"]

    study_s = measure_in_turns(
        {f"{num} trials": lambda num=num: once(num) for num in sizes},
        rounds=options.rounds,
        warm_ups=0,
    )
    print(figures_table(study_s, f"study, seconds (goal for 1,000: {_GOAL_S:g})"))
    each = {f"{num} trials": [one["per_trial_ms"] for one in found[num]] for num in sizes}
    print(figures_table(each, "per trial, milliseconds"))
    for name in ("driver_cpu_per_trial_ms", "driver_mib"):
        print(figures_table({f"{n} trials": [one[name] for one in found[n]] for n in sizes}, name))
    write_json(options.json, before, study_s, parts={str(num): found[num] for num in sizes})
    few, many = sizes[0], sizes[-1]
    if few < many:
        medians = {num: statistics.median(each[f"{num} trials"]) for num in sizes}
        ratio = medians[many] / medians[few]
        rows = zip(found[few], found[many], strict=True)
        slopes = [(b["study_s"] - a["study_s"]) / (many - few) * 1e3 for a, b in rows]
        print(f"time per trial, {many} over {few}: {ratio:.2f} (goal: at most {_GOAL_RATIO:g})")
        print(figures_table({"each further trial": slopes}, "milliseconds"))
    if options.plot is not None:
        from growth_chart import plot_growth

        measured = {float(num): study_s[f"{num} trials"] for num in sizes}
        plot_growth(options.plot, measured, title="Trials that do nothing", size="trials")
    if options.cprofile is not None:
        measure(sizes[-1], options.cprofile)


if __name__ == "__main__":
    main()
