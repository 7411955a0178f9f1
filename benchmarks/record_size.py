"""What of a study's record travels over HTTP when its runs are listed.

`python benchmarks/record_size.py STUDY_FOLDER [--runs 500]`

The finished trials of a study that was run, `studies/demo`, say, are recorded again and again under
other keys, by the code that records studies, until there are as many runs; once with the metrics
that are shown, once with every number as a metric. An MLflow server on this machine gives them, and
the bytes of its answers are counted, as `analysis` and the MLflow UI ask for them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import requests

from contract.mlflow_store.sqlite_address import sqlite_url
from contract.names import BUDGETS, MANIFEST, TRIALS
from study.mlflow_runs.shown.metrics import ShownMetrics
from study.mlflow_runs.study_run import StudyRun, check_store
from trainables.trial.folder.outcomes import ended_trials

_NAME = "recorded"
_PAGE = 100
"""Runs that the UI asks for at a time."""


def record(folder: Path, uri: str, num_runs: int) -> None:
    """Record the trials of a study until there are as many runs."""
    check_store(uri)
    runs = StudyRun(uri, _NAME).open(folder / MANIFEST, folder / BUDGETS)
    ended = [(where, one) for where, one in ended_trials(folder / TRIALS) if one.score is not None]
    for number, (where, outcome) in zip(range(num_runs - 1), itertools.cycle(ended), strict=False):
        trial = dataclasses.replace(outcome.trial, key=f"{outcome.trial.key}-{number}")
        runs.add(where, dataclasses.replace(outcome, trial=trial), 1_750_000_000_000 + number)


def listed_bytes(uri: str, folder: Path, page: int) -> tuple[int, int, float]:
    """Runs that a server lists, the bytes of its answers, and the seconds they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
               "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    address = f"http://127.0.0.1:{port}/api/2.0/mlflow"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        experiment = _ask(f"{address}/experiments/get-by-name?experiment_name={_NAME}")
        wanted = {"experiment_ids": [experiment["experiment"]["experiment_id"]]}
        num_runs = num_bytes = 0
        start, token = time.perf_counter(), ""
        while True:
            body = {**wanted, "max_results": page} | ({"page_token": token} if token else {})
            answer = requests.post(f"{address}/runs/search", json=body, timeout=300)
            answer.raise_for_status()
            num_bytes += len(answer.content)
            num_runs += len(answer.json().get("runs", ()))
            token = answer.json().get("next_page_token", "")
            if not token:
                return num_runs, num_bytes, time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()


def _ask(url: str) -> dict[str, dict[str, str]]:
    """The answer of a server that is starting."""
    for _ in range(240):
        try:
            answer = requests.get(url, timeout=60)
            answer.raise_for_status()
            return dict(answer.json())
        except requests.ConnectionError:
            time.sleep(0.5)
    raise TimeoutError(url)


def main() -> None:
    """Print a line for each way of recording."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of a study that has ended")
    parser.add_argument("--runs", type=int, default=500)
    options = parser.parse_args()
    for what in ("shown metrics", "every number a metric"):
        with tempfile.TemporaryDirectory() as name:
            uri = sqlite_url(Path(name) / "mlflow.db")
            holds = ShownMetrics.holds if what == "shown metrics" else lambda *_: True
            with mock.patch.object(ShownMetrics, "holds", holds):
                record(options.folder, uri, options.runs)
            num_runs, num_bytes, seconds = listed_bytes(uri, Path(name), _PAGE)
            print(
                f"{what}: {num_runs} runs, {num_bytes / 1e6:.2f} MB "
                f"({num_bytes / num_runs / 1e3:.1f} kB a run), {seconds:.1f} s, "
                f"{-(-num_runs // _PAGE)} requests"
            )


if __name__ == "__main__":
    main()
