"""How a study ended."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left."""

    name: str
    folder: Path
    tracking_uri: str
    parent_run_id: str
    """The study's run in MLflow."""
    num_trials: int
    num_failed: int
    num_left_out: int
    """Confirmation trials that were never run, since every search trial of their arm failed."""

    @property
    def is_complete(self) -> bool:
        """Whether every trial finished or was pruned."""
        return self.num_failed == self.num_left_out == 0

    @property
    def problems(self) -> str:
        """What did not finish, a line each; empty where everything did."""
        said = ""
        if self.num_failed:
            said = (
                f"{self.num_failed} of {self.num_trials} trials failed: see their traceback.txt\n"
            )
        if self.num_left_out:
            said += f"{self.num_left_out} were left out: no search trial of their arm finished\n"
        return said

    @property
    def browse(self) -> str:
        """Where, or with which command, the MLflow UI shows the study."""
        if self.tracking_uri.startswith("http"):
            return self.tracking_uri
        mlflow = Path(sys.executable).with_name("mlflow")
        return f"{mlflow} ui --backend-store-uri {self.tracking_uri}"
