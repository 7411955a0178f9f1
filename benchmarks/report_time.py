"""Time of `python -m analysis report` on a study of 500 runs, from start to end of the process.

`python benchmarks/report_time.py [--rounds 3] [--variants 2] [--keep FOLDER]`

The study: 7 annotation fractions x 2 models x 10 seeds (fewer with more models) confirmed on 17
test tiles of 6 classes with eroded references, and search trials up to 500 runs; some 50 points per
training curve, a picture per finished trial. It is inserted into an MLflow database directly, in
the rows that MLflow writes. Printed are the spread and, of one more process, where CPU time goes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mlflow.tracking import MlflowClient
from PIL import Image
from timing import (
    add_common_options,
    figures_table,
    surroundings,
    surroundings_line,
    write_json,
)

from contract.mlflow_store.sqlite_address import sqlite_url

_ROOT = Path(__file__).parents[1]
_NAME = "timed"
_NUM_RUNS = 500
_FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MODELS = (
    *("unet", "urec", "fixmatch", "fixmatch-urec"),
    *(f"lab.networks:{name}" for name in ("first", "second", "third", "fourth")),
)
_MOST_SEEDS, _MOST_CONFIRMED = 10, 400
_NUM_TILES = 17
_NUM_POINTS = 50
_CLASSES = ("impervious_surfaces", "building", "low_vegetation", "tree", "car", "clutter")
_COLORS = ("#FFFFFF", "#0000FF", "#00FFFF", "#00FF00", "#FFFF00", "#FF0000")
_SHARES = np.array([0.30, 0.25, 0.22, 0.20, 0.02, 0.01])
_MOMENT_MS = 1_750_000_000_000
_CURVES = ("train/loss", "train/loss_seg", "train/loss_rec", "train/lr")
_VALIDATED = ("val/oa", "val/mean_f1", "val/miou", "val/kappa", "val/mean_f1_all", "val/miou_all")
_ONCE = ("perf/eval_s", "perf/patches_per_s", "perf/peak_memory_mib", "perf/train_s", "select/step")
_TESTED = tuple(
    f"{split}/{name}"
    for split in ("test", "test_eroded")
    for name in (
        *("oa", "mean_f1", "miou", "kappa", "mean_f1_all", "miou_all"),
        *(f"{score}_{c}" for score in ("f1", "iou", "precision", "recall") for c in _CLASSES),
    )
)


def num_seeds(num_models: int) -> int:
    """Confirmed seeds of an arm, so that search trials are left."""
    return min(_MOST_SEEDS, _MOST_CONFIRMED // (len(_FRACTIONS) * num_models))


def trials(models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Confirmation trials first, then search trials, dealt to the arms in turn."""
    arms = [(frac, model) for frac in _FRACTIONS for model in models]
    seeds = num_seeds(len(models))
    for frac, model in arms:
        for seed in range(1, seeds + 1):
            key = f"confirm-{model}-f{frac:.2f}-s{seed}"
            yield {"key": key, "phase": "confirm", "model": model, "frac": frac, "seed": seed}
    for num in range(_NUM_RUNS - 1 - len(arms) * seeds):
        frac, model = arms[num % len(arms)]
        key = f"search-{model}-f{frac:.2f}-t{num // len(arms):03d}"
        yield {"key": key, "phase": "search", "model": model, "frac": frac, "seed": 0}


def confusion(skill: float, generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """Counts (K, K) of a tile of 5 megapixels."""
    confused = np.full((6, 6), _SHARES) * (1.0 - skill) + np.eye(6) * skill
    return np.array(
        [generator.multinomial(int(5e6 * s), row) for s, row in zip(_SHARES, confused, strict=True)]
    )


def write_artifacts(folder: Path, trial: dict[str, Any], generator: np.random.Generator) -> None:
    """The picture of a finished trial and, where it was confirmed, its confusion matrices."""
    folder.mkdir(parents=True)
    noise = generator.integers(0, 255, (64, 192, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((768, 256)).save(folder / "picture.png")
    if trial["phase"] != "confirm":
        return
    skill = 0.6 + 0.1 * np.log10(100 * trial["frac"]) + generator.normal(0.0, 0.02)
    counts = [confusion(skill, generator) for _ in range(_NUM_TILES)]
    tiles = [
        {"name": f"area{num}", "full": one.tolist(), "eroded": (one * 9 // 10).tolist()}
        for num, one in enumerate(counts)
    ]
    document = {"schema": 1, "split": "test", "classes": _CLASSES, "tiles": tiles}
    document["exclude_from_mean"] = ["clutter"]
    (folder / "confusion.json").write_text(json.dumps(document))


def insert(
    database: Path, experiment: str, parent: str, folder: Path, models: Sequence[str]
) -> int:
    """All child runs; returns the number of metric points."""
    generator = np.random.default_rng(0)
    tables: dict[str, list[tuple[Any, ...]]] = {
        name: [] for name in ("runs", "tags", "params", "metrics", "latest_metrics")
    }
    for trial in trials(models):
        run_id = uuid.UUID(bytes=generator.bytes(16)).hex
        artifacts = folder / run_id / "artifacts"
        write_artifacts(artifacts, trial, generator)
        tables["runs"].append(
            (run_id, trial["key"], "UNKNOWN", "", "", "unknown", "FINISHED", _MOMENT_MS,
             _MOMENT_MS + 60_000, "", "active", artifacts.as_uri(), experiment, None)
        )  # fmt: skip
        _insert_words(tables, trial, run_id, parent, generator)
        for name, steps in _metric_steps(trial["phase"]):
            values = generator.uniform(0.3, 0.9, len(steps))
            rows = [
                (name, float(value), _MOMENT_MS + step, run_id, step, 0)
                for value, step in zip(values, steps, strict=True)
            ]
            tables["metrics"] += rows
            tables["latest_metrics"].append((name, *rows[-1][1:3], steps[-1], 0, run_id))
    with sqlite3.connect(database) as connection:
        for table, rows in tables.items():
            marks = ",".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    connection.close()
    return len(tables["metrics"])


def _insert_words(
    tables: dict[str, list[tuple[Any, ...]]],
    trial: dict[str, Any],
    run_id: str,
    parent: str,
    generator: np.random.Generator,
) -> None:
    """Tags and parameters of one run."""
    arm = f"{trial['model']}-f{trial['frac']:.2f}"
    words = {
        "mlflow.parentRunId": parent, "mlflow.runName": trial["key"], "trial_key": trial["key"],
        "phase": trial["phase"], "arm": arm, "variant": trial["model"], "model": trial["model"],
        "label_frac": str(trial["frac"]), "seed": str(trial["seed"]), "status": "finished",
        "attempts": "1", "converged": "true", "trial_folder": f"/studies/{trial['key']}",
    }  # fmt: skip
    setting = (0.001, 0.1) if trial["phase"] == "confirm" else generator.uniform(1e-4, 0.5, 2)
    named = {
        "lr": setting[0], "w1": setting[1], "steps": 8000, "batch_size": 14, "width": 32,
        "reconstruct_on": "all", "patch_px": 256, "augment": True, "schedule": "cosine",
        "warmup_steps": 100, "ema_decay": 0.99, "num_validations": _NUM_POINTS, "precision": "bf16",
    }  # fmt: skip
    tables["tags"] += [(key, value, run_id) for key, value in words.items()]
    tables["params"] += [(key, str(value), run_id) for key, value in named.items()]


def _metric_steps(phase: str) -> Iterator[tuple[str, range]]:
    curve = range(160, 160 * _NUM_POINTS + 1, 160)
    yield from ((name, curve) for name in (*_CURVES, *_VALIDATED))
    once = (*_ONCE, "select/mean_f1", "budget/reached_frac", "budget/annotated_px")
    for name in once + (_TESTED if phase == "confirm" else ()):
        yield name, curve[-1:]


def build(folder: Path, models: Sequence[str]) -> tuple[str, int]:
    """The store; returns its URI and the number of metric points."""
    database = folder / "mlflow.db"
    uri = sqlite_url(database)
    client = MlflowClient(tracking_uri=uri)
    artifacts = folder / "artifacts"
    experiment = client.create_experiment(_NAME, artifact_location=artifacts.as_uri())
    tags = {"phase": "study", "study": _NAME, "status": "finished", "num_failed": "0"}
    parent = client.create_run(experiment, tags=tags, run_name=_NAME).info.run_id
    document = {
        "config": {
            "name": _NAME,
            "seeds": num_seeds(len(models)),
            "seed": 0,
            "models": list(models),
        },
        "dataset": {
            "name": "Timed",
            "bands": ["IR", "R", "G"],
            "classes": [
                {"name": name, "color": color}
                for name, color in zip(_CLASSES, _COLORS, strict=True)
            ],
            "exclude_from_mean": ["clutter"],
        },
    }
    client.log_text(parent, yaml.safe_dump(document, sort_keys=False), "study.yaml")
    return uri, insert(database, experiment, parent, artifacts, models)


def _run(*arguments: str) -> str:
    """Standard output of Python in a process of its own, with this tree's `analysis`."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def timed(uri: str, out: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one report."""
    before, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _run("-m", "analysis", "report", _NAME, "--tracking-uri", uri, "--out", str(out))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
    return time.perf_counter() - before, spent


_PHASES = """
import sys, time
last = time.process_time()
def lap(name):
    global last
    now = time.process_time()
    print(f"  {name:32} {now - last:5.1f} s CPU")
    last = now
name, uri, out = sys.argv[1:]
from analysis.reading.sources.load import load_study
from analysis.page.report import make_report
lap("import analysis")
import mlflow.tracking
lap("import mlflow")
load_study(name, uri)
lap("read the study, open the store")
load_study(name, uri)
lap("read it again")
make_report(name, tracking_uri=uri, out=out)
lap("read it again, make the report")
"""


def main() -> None:
    """Builds the study, times the report, prints where time goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_options(parser, rounds=3)
    parser.add_argument(
        "--variants", type=int, choices=range(2, len(_MODELS) + 1), default=2, help="models"
    )
    parser.add_argument("--keep", type=Path, help="folder that keeps the store and the report")
    options = parser.parse_args()
    before = surroundings()
    print(surroundings_line(before), flush=True)
    with tempfile.TemporaryDirectory(prefix="urec-report-time-") as temporary:
        folder = (options.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        uri, num_points = build(folder, _MODELS[: options.variants])
        spent = [timed(uri, folder / "report") for _ in range(options.rounds)]
        wall, cpu = (list(seconds) for seconds in zip(*spent, strict=True))
        figures = {"wall": wall, "CPU": cpu}
        print(f"report of {_NUM_RUNS} runs, {options.variants} models, {num_points} metric points")
        print("\n" + figures_table(figures, "seconds") + "\n", flush=True)
        write_json(options.json, before, figures, unit="s")
        print(_run("-c", _PHASES, _NAME, uri, str(folder / "report")), end="")


if __name__ == "__main__":
    main()
