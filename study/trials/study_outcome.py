"""How a study ended."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.mlflow_store.logins import TrackingUri
from contract.names import REPORT

_TABLE_OF_TIMES: Final = Path(REPORT) / "tables" / "time_spent.md"
"""Path below the study's folder to which the report writes the table."""


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left."""

    name: str
    folder: Path
    tracking_uri: str
    """It becomes a `TrackingUri`, whose text holds no login."""
    parent_run_id: str
    """The study's run in MLflow."""
    num_trials: int
    num_failed: int
    num_left_out: int
    """Confirmation trials that were never run, since every search trial of their arm failed."""
    is_profiled: bool = False
    """Whether it measures where its time goes."""
    trace: Path | None = None
    """The trace of one of its trials; None if it is not profiled or no trial got so far."""

    def __post_init__(self) -> None:
        """Keep the login out of what is printed."""
        object.__setattr__(self, "tracking_uri", TrackingUri(self.tracking_uri))

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
    def profile(self) -> str:
        """A line that names the table of times and the trace of a trial; empty without any."""
        if not self.is_profiled:
            return ""
        files = (self.folder / _TABLE_OF_TIMES, self.trace)
        found = [str(file) for file in files if file is not None and file.exists()]
        return f"profile {' '.join(found)}\n" if found else ""

    @property
    def browse(self) -> str:
        """Where, or with which command, the MLflow UI shows the study."""
        if self.tracking_uri.startswith("http"):
            return self.tracking_uri
        mlflow = Path(sys.executable).with_name("mlflow")
        return shlex.join([str(mlflow), "ui", "--backend-store-uri", self.tracking_uri])
