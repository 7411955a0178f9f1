"""Studies as a person runs them, over worker groups and over several nodes on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "run_study.py"
MARK = "UREC_TESTED_STUDY"
"""In the environment of all processes of a study with a Ray of its own: its folder."""
TRAINING = {
    "width": 4,
    "downsample": 1,
    "patch_px": 32,
    "sampling": "random",
    "batch_size": 4,
    "epochs": None,
    "warmup_steps": 1,
    "ema_decay": 0.9,
    "infer_window_px": 64,
    "infer_step_px": 64,
    "checkpoint_every_s": 0,
}


@dataclass
class Study:
    """One study of the tiny data set, started as often as wanted."""

    folder: Path
    config: dict[str, Any]
    arguments: list[str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.folder / "studies"

    @property
    def trials(self) -> Path:
        return self.output / self.config["name"] / "trials"

    def start(self) -> subprocess.Popen[str]:
        """Start the command; what it says goes to files."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(self.config))
        number = len(self.processes)
        with (self.folder / f"said-{number}.txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, COMMAND, "--config", file, "--output", self.output,
                 *self.arguments],
                cwd=self.folder, stdout=said, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", MARK: str(self.folder)},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def actors(self, of: str) -> list[int]:
        """Ids of the processes of this study's Ray, on this machine, that run actors of a kind."""
        mark, found = f"{MARK}={self.folder}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "cmdline").read_bytes()
                is_ours = mark in (process / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended meanwhile
                continue
            if is_ours and name.startswith(f"ray::{of}".encode()):
                found.append(int(process.name))
        return found

    def said(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("said-*.txt")))

    def finish(self, timeout_s: float = 1200) -> None:
        """Wait for the command's good end."""
        try:
            status = self.processes[-1].wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the study never ended:\n{self.said()}")
        assert status == 0, self.said()

    def wait_for(self, happened: Callable[[], bool], what: str, timeout_s: float = 900) -> None:
        """Wait until something has happened while the study runs."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            if self.processes[-1].poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{what} never happened:\n{self.said()}")
            time.sleep(0.1)

    def results(self) -> dict[str, dict[str, Any]]:
        """What every finished trial of the folder recorded, by its key."""
        return {
            file.parent.name: json.loads(file.read_text())
            for file in sorted(self.trials.glob("*/result.json"))
        }

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def make_study(
    tmp_path: Path, tiny_folder: Path, mlflow_database: Path
) -> Iterator[Callable[..., Study]]:
    """Studies that are ended with the test, with MLflow's default store, whose tables are there."""
    made: list[Study] = []

    def make(name: str, *arguments: str, **config: Any) -> Study:
        whole = TRAINING | {"data": str(tiny_folder), "name": name} | config
        made.append(Study(tmp_path / name, whole, list(arguments)))
        (tmp_path / name).mkdir(exist_ok=True)
        shutil.copy(mlflow_database, tmp_path / name)
        return made[-1]

    yield make
    for study in made:
        study.end()


@pytest.fixture
def tracking_server(tmp_path: Path, mlflow_database: Path) -> Iterator[str]:
    """An MLflow server with a database behind it, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "tracking"
    folder.mkdir()
    shutil.copy(mlflow_database, folder / "mlflow.db")
    # Its queue of jobs is a process more, which nothing here needs.
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
             "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1",
             "--artifacts-destination", str(folder / "artifacts")],
            cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    uri, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while not _answers(uri):
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < deadline, (folder / "log.txt").read_text()
            time.sleep(0.2)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
