"""Which numbers of a trial are metrics in MLflow: those by which a person compares runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final

from contract.names import RECONSTRUCTION_ERRORS

_SCORES: Final = ("oa", "mean_f1", "miou")
_SPLITS: Final = ("val", "test", "test_eroded")
_MOST_CLASSES: Final = 10
"""Classes whose IoU is a metric; MLflow draws the first thirty metrics of a study by itself."""
_REST_OF: Final = ("budget", "perf", "time", "val")
"""Splits of numbers that no other artifact holds than `result.json`: those of test tiles follow
from `confusion.json` too."""
_ALWAYS: Final = frozenset(
    {
        *(f"{split}/{score}" for split in _SPLITS for score in _SCORES),
        f"val/{RECONSTRUCTION_ERRORS[0]}",
        "budget/reached_frac",
        "perf/train_s",
        "perf/patches_per_s",
        "perf/peak_memory_mib",
    }
)
_ALL_OF: Final = ("select/", "train/")
"""Splits of which every number is a metric: they are few."""


class ShownMetrics:
    """Some 25 of the numbers of a trial; `result.json` holds all of them."""

    def __init__(self, classes: Sequence[str] = (), left_out: Sequence[str] = ()) -> None:
        """Choose the classes whose IoU is a metric.

        Args:
            classes: Of the study, in their order.
            left_out: Those that its means leave out; others come before them.
        """
        first = [*(one for one in classes if one not in left_out), *left_out]
        self.classes: tuple[str, ...] = tuple(first[:_MOST_CLASSES])
        """Classes whose IoU on the test tiles is a metric."""
        self._names = _ALWAYS | {f"test/iou_{one}" for one in self.classes}

    def holds(self, name: str) -> bool:
        """Whether a number, `test/miou`, say, is a metric."""
        return name in self._names or name.startswith(_ALL_OF)

    def rest(self, measures: Mapping[str, float]) -> str:
        """The numbers of a trial as a whole that are no metric, those of test tiles apart.

        Args:
            measures: All numbers that the trial ended with, by name; NaN where undefined.

        Returns:
            JSON, for the tag of the run by which readers find them without asking for a file.
        """
        held = {
            name: value
            for name, value in measures.items()
            if name.partition("/")[0] in _REST_OF and not self.holds(name) and not math.isnan(value)
        }
        return json.dumps(held)
