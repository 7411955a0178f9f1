"""Names that a study writes and its readers look for: states, files, artifacts, trial keys."""

from __future__ import annotations

import hashlib
import math
import re
import string
from collections.abc import Sequence
from typing import Final

DISTRIBUTION: Final = "urec-study"
"""Name of this package as it is installed."""
PHASES: Final = ("search", "confirm")
"""A search trial tries hyperparameters, a confirmation trial repeats the chosen ones."""
STATUSES: Final = ("running", "finished", "failed", "pruned", "stopped")
"""How a trial stands: `pruned` is a search trial that its arm's others outdid, ended early for
good; `stopped` was interrupted and will be continued."""
OPEN_STATUSES: Final = ("running", "stopped")
"""How a trial, or a study, stands that has not ended."""
STUDY_STATUSES: Final = ("running", "finished", "stopped", "failed")
"""How a study stands; `failed` is in older records alone."""

SELECT_SCORES: Final = ("mean_f1", "miou", "oa")
"""Validation scores by which a study may select, `select/<score>` in MLflow."""
TIME_PARTS: Final = (
    "start",
    "data",
    "forward_backward",
    "validation",
    "checkpoint",
    "report",
    "test",
    "record",
    "trace",
)
"""Parts of a trial whose wall seconds are measured where a study is profiled, in their order,
`time/<part>_s` in MLflow. `start` runs from the making of its task to the first step, and
`trace` is what writing one takes."""

RECONSTRUCTION_ERRORS: Final = ("rec_l1", "rec_l1_constant", "rec_l1_blocks")
"""Mean absolute errors over the validation tiles, `val/<name>` in MLflow: of what a trial
reconstructs, of one colour for all pixels, and of the mean colours of blocks of 8 px."""
RECONSTRUCTION_SHARE: Final = "grad_share_rec"
"""Share of the reconstruction in the gradient of the weights that it shares with the segmentation,
`train/<name>` in MLflow; from the last validation where it was measured."""
PSEUDO_SHARE: Final = "pseudo_share"
"""Share of the pixels that a teacher labels with enough probability, `train/<name>` in MLflow; the
mean of the last steps."""

ANNOTATION_MINUTES: Final = "annotation_minutes"
"""Column of what annotating a trial's budget takes, `budget/minutes` in MLflow; studies with prices
alone have it."""

TAKEN_NAMES: Final = frozenset(
    {
        "trial_key", "phase", "arm", "model", "variant", "label_frac", "seed", "number", "status",
        "attempts", "converged", "select_step", "steps", "reached_frac", "annotated_px",
        "val_reached_frac", "val_annotated_px", "with_val_frac",
        ANNOTATION_MINUTES,
        "patches_per_s", "train_s", "eval_s", "test_s", "peak_memory_mib", "workers", "run_id",
        "artifact_uri", "failure", "classes", "exclude_from_mean", "confusion", "study", "remarks",
        *(f"select_{score}" for score in SELECT_SCORES),
        *RECONSTRUCTION_ERRORS, RECONSTRUCTION_SHARE, PSEUDO_SHARE,
        *(f"time_{part}_s" for part in TIME_PARTS),
    }
)  # fmt: skip
"""Columns of tables of trials, and so no names of a person's own parameters."""

MANIFEST: Final = "study.yaml"
"""The resolved configuration and provenance of a study, in its folder and in its run."""
BUDGETS: Final = "budgets"
"""Folder beside it: a manifest and a picture of each annotation budget."""
TEST_TILES: Final = "test_tiles"
"""Folder beside it: `<tile>.jpg` and `<tile>_reference.png` (`file_stem`)."""
REPORT: Final = "report"
"""Folder beside it: the report; among the artifacts of its run too."""
TRIALS: Final = "trials"
"""Folder beside it, and place in the storage: one folder per trial, named by its key."""

RESULT: Final = "result.json"
"""What a trial that finished found; in its folder and its run, as are all files below."""
CONFUSION: Final = "confusion.json"
"""The integer confusion matrix of every test tile."""
PICTURE: Final = "picture.png"
"""Crops of test tiles beside what the trial made of them."""
TRACEBACK: Final = "traceback.txt"
"""The error of a trial that failed."""
MAPS: Final = "maps"
"""Folder of maps of the test tiles: `<tile>.png` and `<tile>_reconstruction.jpg` (`file_stem`)."""
MODEL_FILE: Final = "model.pt"
"""The trained network, in the folder of a confirmation trial."""
TRIAL_FOLDER_TAG: Final = "trial_folder"
"""Tag of a trial's run: absolute path of the folder it wrote to."""
MEASURES_TAG: Final = "measures"
"""Tag of a trial's run: JSON with the numbers of the trial, by name, that are none of its metrics;
older runs have these as metrics."""
COMPARED_TAG: Final = "compared"
"""Tag of a study's run: the same for studies of the same data, methods and fractions."""

_SEARCH_KEY: Final = re.compile(r"(search-.*-t(\d+))(?:-s\d+)?", re.ASCII | re.DOTALL)
_KEPT: Final = frozenset(string.ascii_letters + string.digits + "-_.")
_LONGEST: Final = 120


def fraction_text(fraction: float) -> str:
    """At least two decimals and as many as the number has: 0.1 -> `0.10`, 0.005 -> `0.005`."""
    return max(f"{fraction:.2f}", f"{fraction:.10f}".rstrip("0"), key=len)


def named_fraction(asked: Sequence[float], reached: Sequence[float]) -> float:
    """The one of several fractions asked, whose budgets are the same, that names their arm.

    It is the nearest to the mean of what is reached, as a ratio, and of equally near ones the
    smallest. The smallest alone would mislead where one unit exceeds all of them.

    Args:
        asked: One or more.
        reached: Annotated / labelled pixels, by seed.
    """
    mean = sum(reached) / len(reached)
    return min(asked, key=lambda fraction: (abs(math.log(fraction / mean)), fraction))


def arm_name(variant: str, label_frac: float) -> str:
    """`NAME-f0.10`: unique in a study."""
    return f"{variant}-f{fraction_text(label_frac)}"


def search_key(arm: str, number: int, seed: int | None = None) -> str:
    """Key of a search trial: `search-NAME-f0.10-t003`, of several seeds `…-t003-s5`.

    Args:
        arm: As from `arm_name`.
        number: Place of its suggestion in the arm's search, from 0.
        seed: Seed of the trial; None where every suggestion is tried with one seed.
    """
    return f"search-{arm}-t{number:03d}" + ("" if seed is None else f"-s{seed}")


def suggestion_key(key: str) -> str:
    """The key of a search trial without its seed: the same for all trials of a suggestion."""
    found = _SEARCH_KEY.fullmatch(key)
    return key if found is None else found[1]


def confirm_key(arm: str, seed: int) -> str:
    """Key of a confirmation trial: `confirm-NAME-f0.10-s2`."""
    return f"confirm-{arm}-s{seed}"


def search_number(key: str) -> int:
    """The 3 of a key such as `search-NAME-f0.10-t003` or `…-t003-s5`; -1 for other keys."""
    found = _SEARCH_KEY.fullmatch(key)
    return -1 if found is None else int(found[2])


def budget_stem(seed: int, label_frac: float, split: str = "train", order: str = "random") -> str:
    """Name of a budget's manifest and picture without their suffixes: `s1-f0.10`.

    One of the validation tiles is named `val-s1-f0.10`, one in another order than a random one
    `s1-f0.10-diverse`.
    """
    stem = f"s{seed}-f{fraction_text(label_frac)}"
    return ("" if split == "train" else f"{split}-") + stem + f"-{order}" * (order != "random")


def file_stem(tile: str) -> str:
    """The name of a tile as it stands in file names, URLs and artifact paths.

    Letters and digits of ASCII, "-", "_" and "." (not at the front) stay; every other byte of
    its UTF-8 becomes "~" and two hex digits. A long name is cut and gets its checksum, so that
    different tiles keep different names.
    """
    parts = [
        one if one in _KEPT else "".join(f"~{byte:02X}" for byte in one.encode()) for one in tile
    ]
    if parts and parts[0] == ".":
        parts[0] = "~2E"
    stem = "".join(parts)
    if len(stem) <= _LONGEST:
        return stem
    return f"{stem[:_LONGEST]}~{hashlib.sha256(tile.encode()).hexdigest()[:16]}"
