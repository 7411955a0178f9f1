"""Wall time of a whole study against the training and evaluation in it.

`python benchmarks/study_overhead.py [--rounds 3] [-- --preset demo ...]`

The command of the README runs in a process of its own. The seconds that its trials spent in
training, validation and test are summed and divided by the slots; the study takes the rest to
start, wait, record and end. Those seconds were taken while the driver and MLflow had their share
of the CPUs: they hold what these cost the trials. The writing of the built-in scenes, which a
second study does not repeat, and the report, which is drawn afterwards, are counted apart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import (
    add_common_options,
    figures_table,
    measure_in_turns,
    surroundings,
    surroundings_line,
    write_json,
)

from contract.mlflow_store.sqlite_address import sqlite_url

_GOAL = 1.15
_PARTS = ("perf/train_s", "perf/eval_s", "perf/test_s")


def run_one(arguments: list[str]) -> dict[str, float]:
    """The command in this process; seconds of its parts."""
    start = time.perf_counter()
    import run_study
    from study.design.preflight import find_dataset
    from study.machines.slots import find_slots
    from study.runner import run_study as run
    from study.settings.command_line import parse_arguments

    with tempfile.TemporaryDirectory() as folder:
        uri = sqlite_url(Path(folder) / "mlflow.db")
        given = ["--output", folder, "--tracking-uri", uri, *arguments]
        config, _ = parse_arguments(given)
        writing = time.perf_counter()
        find_dataset(config)
        scenes_s = time.perf_counter() - writing
        outcome = run(config)
        trials_end = time.perf_counter()
        run_study.report(outcome)
        end = time.perf_counter()
        work_s = 0.0
        for file in config.folder.glob("trials/*/result.json"):
            metrics = json.loads(file.read_text())["metrics"]
            work_s += sum(metrics.get(name, 0.0) for name in _PARTS)
    slots = find_slots(config).concurrent
    study_s = trials_end - start - scenes_s
    return {
        "study": study_s,
        "training and evaluation over the slots": work_s / slots,
        "ratio": study_s / (work_s / slots),
        "scenes": scenes_s,
        "report": end - trials_end,
    }


def main() -> None:
    """Run the command some times and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arguments", nargs="*", help="of the command, after --")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    add_common_options(parser, rounds=3)
    options = parser.parse_args()
    arguments = options.arguments or ["--space", "w1,label_frac"]
    if options.one:
        print(json.dumps(run_one(arguments)))
        return
    before = surroundings()
    print(surroundings_line(before), flush=True)
    found: list[dict[str, float]] = []

    def once() -> float:
        command = [sys.executable, __file__, "--one", "--", *arguments]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append(json.loads(output.splitlines()[-1]))
        return found[-1]["study"]

    measure_in_turns({"study": once}, rounds=options.rounds, warm_ups=0)
    figures = {name: [one[name] for one in found] for name in found[0]}
    ratio = figures.pop("ratio")
    print(figures_table(figures, "seconds"))
    print(figures_table({"study / training and evaluation": ratio}, f"goal: at most {_GOAL:g}"))
    write_json(options.json, before, figures, ratio=ratio)


if __name__ == "__main__":
    main()
