"""The study that is tortured, as its command and its files show it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.processes import Command

NAME = "tortured"
NUM_TRIALS = 12
"""Two fractions; U-REC with a grid of two, U-Net with nothing to search; two seeds each."""
PARTIAL = ".checkpoint-new.pt.*.partial"
"""A checkpoint while it is written; the star is the pid of who writes it."""

_COMMAND = Path(__file__).parents[3] / "run_study.py"
_CONFIG = {
    "name": NAME,
    "models": ["urec", "unet"],
    "space": "w1=0.05/0.3,label_frac=0.5/1",
    "sampler": "grid",
    "seeds": 2,
    "retries": 2,
    "checkpoint_every_s": 0,  # at every validation
    # A network whose checkpoint, of 30 MB, takes long enough to be interrupted.
    "width": 8,
    "downsample": 1,
    "patch_px": 32,
    "sampling": "random",
    "batch_size": 2,
    "steps": 12,
    "warmup_steps": 1,
    "ema_decay": 0.0,
    "num_validations": 4,
    "infer_window_px": 64,
    "infer_step_px": 64,
}


@dataclass(frozen=True)
class Fingerprint:
    """What changes when a file is written again."""

    inode: int
    mtime_ns: int
    sha256: str


class TorturedStudy:
    """One study below a folder of its own, which is also the command's working directory."""

    def __init__(self, folder: Path, data: Path, **options: Any) -> None:
        """Write its configuration.

        Args:
            folder: A new folder.
            data: The data set.
            options: Further options of the study.
        """
        folder.mkdir(parents=True)
        self.cwd = folder
        self.folder = folder / "studies" / NAME
        self.trials = self.folder / "trials"
        self.table = self.folder / "report" / "tables" / "comparison.csv"
        self.commands: list[Command] = []
        self._file = folder / "study.yaml"
        self._file.write_text(yaml.safe_dump({**_CONFIG, "data": str(data), **options}))

    @property
    def store(self) -> str:
        """URI of the default MLflow store."""
        return f"sqlite:///{self.cwd / 'mlflow.db'}"

    def launch(self) -> Command:
        """Run the command: the first time to begin the study, then always the same to go on."""
        words = [sys.executable, str(_COMMAND), "--config", str(self._file)]
        log = self.cwd / f"driver-{len(self.commands) + 1}.log"
        self.commands.append(Command(words, self.cwd, environment(), log))
        return self.commands[-1]

    def finish(self, timeout_s: float = 1200.0) -> Command:
        """Run the command to its end.

        Raises:
            AssertionError: If it does not end well.
        """
        command = self.launch()
        status = command.wait(timeout_s)
        assert status == 0, f"the command ended with {status}:\n{command.said()}"
        return command

    def results(self) -> dict[str, Fingerprint]:
        """The record of each finished trial."""
        return {file.parent.name: _fingerprint(file) for file in self._files("*/result.json")}

    @property
    def num_done(self) -> int:
        """Finished trials."""
        return len(self._files("*/result.json"))

    @property
    def num_confirmed(self) -> int:
        """Finished confirmation trials."""
        return len(self._files("confirm-*/result.json"))

    def partials(self) -> list[Path]:
        """Checkpoints that are being written, or were when their writer died."""
        return self._files(f"*/{PARTIAL}")

    def unfinished(self, pattern: str, *files: str) -> list[Path]:
        """Folders of unfinished trials that hold these files."""
        return [
            folder
            for folder in self._files(pattern)
            if not (folder / "result.json").exists()
            and all((folder / file).exists() for file in files)
        ]

    def end_all(self) -> list[str]:
        """End every process of every command there was; what was ended, one text each."""
        ended = []
        for command in self.commands:
            ended += [f"{one.pid} {one.command[:60]}" for one in command.members()]
            command.kill_all()
        return ended

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self.trials.glob(pattern))


def environment() -> Mapping[str, str]:
    """This process's environment, without what would lead MLflow elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}


def _fingerprint(file: Path) -> Fingerprint:
    status = file.stat()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Fingerprint(status.st_ino, status.st_mtime_ns, digest)
