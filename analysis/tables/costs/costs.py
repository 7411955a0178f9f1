"""What every arm cost: trials, steps, patches, time, memory, and hours of GPUs and CPUs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.reading.schema import StudyInfo
from analysis.reading.styles import Styles
from analysis.wording import counted, listed
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

COST_PHASES = ("search", "confirm", "total")

COST_COLUMNS: dict[str, str] = {
    "model": "str",
    "label_frac": "float64",
    "phase": "str",
    "num_trials": "int64",
    "num_failed": "int64",
    "num_pruned": "int64",
    "num_timed": "int64",
    "num_tested": "int64",
    "steps": "float64",
    "patches": "float64",
    "patches_unannotated": "float64",
    "train_s": "float64",
    "eval_s": "float64",
    "test_s": "float64",
    "trial_s": "float64",
    "trial_s_per_baseline": "float64",
    "patches_per_s": "float64",
    "peak_memory_mib": "float64",
    "gpu_hours": "float64",
    "cpu_hours": "float64",
}
"""Columns and dtypes of the table of costs."""


_ASKED = (
    *("phase", "variant", "label_frac", "status", "steps", "batch_size", "train_s", "eval_s"),
    *("test_s", "workers", "patches_per_s", "peak_memory_mib"),
)
"""Columns of trials that costs are made of."""


def costs(record: StudyRecord) -> pd.DataFrame:
    """Three rows per arm with a trial on record: its search, its confirmation, and both.

    A trial that failed or was pruned recorded no times. It counts among the trials and enters no
    sum: what it used is unknown, not 0.

    Returns:
        Columns of COST_COLUMNS. num_trials: ended trials (finished, failed or pruned; repeated
        attempts count once); num_timed: those with times on record. Over these: steps; patches
        (steps x batch size, each with annotated pixels); patches_unannotated (`rec_patches` times
        as many, 1 where it is not on record, where all pixels are reconstructed, drawn from
        anywhere for the reconstruction alone, and where a teacher labels them; 0 where a method
        learns from annotated pixels only; NaN for other uses of unannotated ones);
        train_s; eval_s (validation); test_s (test tiles, over the num_tested confirmation trials
        that timed them, as older ones did not); trial_s (train_s + eval_s per timed trial, and
        test_s where every timed confirmation trial of the study has one) and trial_s_per_baseline
        (over that of the first baseline at the same fraction; 1 for the baseline itself), both for
        `confirm` alone; patches_per_s (annotated patches over train_s);
        peak_memory_mib (largest of a trial: of the GPU if there is one, else of the process);
        gpu_hours and cpu_hours (train_s + eval_s, and
        test_s where it is recorded, times the workers of the trial and the GPUs or CPUs of one;
        gpu_hours is 0 on the CPU). NaN where nothing was recorded. Rows by label_frac, then variant
        in the order of the record, then COST_PHASES.
    """
    import pandas as pd

    devices = devices_per_worker(record.info)
    confirmed = _timed(record.trials[record.trials["phase"] == "confirm"])
    # Else arms would be compared of which one counts more than the other.
    all_tested = bool(confirmed["test_s"].notna().all())
    rows = []
    # All other columns would be copied again and again.
    trials = _with_share(record.trials, record)[[*_ASKED, "unannotated_share"]]
    for frac, variant in record.arms:
        arm = trials[(trials["variant"] == variant) & (trials["label_frac"] == frac)]
        ended = arm[~arm["status"].isin(OPEN_STATUSES)]
        for phase in COST_PHASES:
            of_phase = ended if phase == "total" else ended[ended["phase"] == phase]
            rows.append(
                {"model": variant, "label_frac": frac, "phase": phase}
                | _phase_costs(of_phase, phase, devices, all_tested)
            )
    _add_ratios(rows, first_baseline(record.styles))
    return pd.DataFrame(
        {
            column: pd.Series([row[column] for row in rows], dtype=dtype)
            for column, dtype in COST_COLUMNS.items()
        }
    )


def devices_per_worker(info: StudyInfo) -> tuple[float, float]:
    """GPUs and CPUs of one worker of a trial, from `study.yaml`.

    `gpus: null` means one GPU where the machine has any. NaN where that is not on record, or
    where the study went on with GPUs after it began without, or the reverse.
    """
    config = info.document.get("config") or {}
    cpus = _number(config.get("cpus"))
    if config.get("gpus") is not None:
        return _number(config["gpus"]), cpus
    if "gpus" not in config:
        return math.nan, cpus
    machines = [info.document.get("provenance"), *(info.document.get("continued") or ())]
    found = {_default_gpus(machine) for machine in machines}
    gpus = found.pop() if len(found) == 1 else None
    return (math.nan if gpus is None else gpus), cpus


def cost_notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """What the table of costs leaves out, as it applies.

    Args:
        frame: As from `costs`.
    """
    total = frame[frame["phase"] == "total"]
    num_failed, num_pruned = int(total["num_failed"].sum()), int(total["num_pruned"].sum())
    num_other = int((total["num_trials"] - total["num_timed"]).sum()) - num_failed - num_pruned
    left_out = [
        f"{counted(num, 'trial')} that {what}"
        for num, what in (
            (num_failed, "failed"),
            (num_pruned, "was pruned" if num_pruned == 1 else "were pruned"),
        )
        if num
    ]
    notes = []
    if left_out:
        notes.append(
            f"{' and '.join(left_out)} recorded no times: counted among the trials, in no sum."
        )
    if num_other > 0:
        notes.append(f"{counted(num_other, 'finished trial')} without times on record: in no sum.")
    confirmed = frame[frame["phase"] == "confirm"]
    num_untested = int((confirmed["num_timed"] - confirmed["num_tested"]).sum())
    if num_untested and confirmed["num_tested"].any():
        notes.append(
            f"{counted(num_untested, 'confirmation trial')} did not time the test tiles: no time "
            "per trial counts them, hours count those of the others."
        )
    timed = total[total["num_timed"] > 0]
    if not timed.empty and timed[["gpu_hours", "cpu_hours"]].isna().all(axis=None):
        notes.append("GPUs and CPUs per trial are not on record: no hours of them are given.")
    return tuple(notes)


def cost_finding(frame: pd.DataFrame, styles: Styles) -> str:
    """What a confirmation trial takes beside one of the first baseline, in one sentence.

    Args:
        frame: As from `costs`.
        styles: Of the variants, in order.

    Returns:
        "" where nothing is known.
    """
    known = frame.dropna(subset=["trial_s_per_baseline"])
    said: list[str] = []
    baseline = first_baseline(styles)
    for variant, style in styles.items():
        ratios = known.loc[known["model"] == variant, "trial_s_per_baseline"]
        if variant == baseline or ratios.empty:
            continue
        low, high = f"{ratios.min():.2f}", f"{ratios.max():.2f}"
        times = f"{low if low == high else f'{low} to {high}'} times"
        said.append(f"{times}{'' if said else ' as long'} for {style.label}")
    return (
        f"Beside {styles[baseline].label}, a confirmation trial takes {listed(said)}"
        if baseline and said
        else ""
    )


def first_baseline(styles: Styles) -> str:
    """Name of the variant to which times are related; "" without a baseline."""
    return next((name for name, style in styles.items() if style.is_baseline), "")


def relative_to(styles: Styles) -> str:
    """Heading of the column of ratios."""
    baseline = first_baseline(styles)
    return f"Relative to {styles[baseline].label if baseline else 'a baseline'}"


def _timed(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["status"] == "finished") & trials["train_s"].notna()]


def _phase_costs(
    trials: pd.DataFrame, phase: str, devices: tuple[float, float], all_tested: bool
) -> dict[str, Any]:
    timed = _timed(trials)
    patches = timed["steps"] * timed["batch_size"]
    train_s, eval_s = _total(timed["train_s"]), _total(timed["eval_s"])
    tests_s = timed["test_s"].dropna()
    trial_s = train_s + eval_s + (float(tests_s.sum()) if all_tested else 0.0)
    # Of one worker each; older runs recorded no number of workers: they had one.
    each_s = timed["train_s"] + timed["eval_s"] + timed["test_s"].fillna(0.0)
    worker_s = _total(each_s * timed["workers"].fillna(1.0))
    gpus, cpus = devices
    return {
        "num_trials": len(trials),
        "num_failed": int((trials["status"] == "failed").sum()),
        "num_pruned": int((trials["status"] == "pruned").sum()),
        "num_timed": len(timed),
        "num_tested": len(tests_s),
        "steps": _total(timed["steps"]),
        "patches": _total(patches),
        "patches_unannotated": _total(patches * timed["unannotated_share"]),
        "train_s": train_s,
        "eval_s": eval_s,
        "test_s": _total(tests_s),
        "trial_s": trial_s / len(timed) if phase == "confirm" and len(timed) else math.nan,
        "patches_per_s": _ratio(_total(timed["patches_per_s"] * timed["train_s"]), train_s),
        "peak_memory_mib": float(timed["peak_memory_mib"].max()) if len(timed) else math.nan,
        "gpu_hours": gpus * worker_s / 3600.0,
        "cpu_hours": cpus * worker_s / 3600.0,
    }


def _with_share(trials: pd.DataFrame, record: StudyRecord) -> pd.DataFrame:
    """The trials with their unannotated patches per annotated one; NaN where it is not known."""
    without = [name for name, one in record.methods.items() if one.unannotated == "nothing"]
    config = record.info.document.get("config") or {}
    per_patch = config.get("rec_patches", 1)
    if "rec_patches" in trials:  # it varies; trials of methods without it have none
        per_patch = trials["rec_patches"].fillna(1)
    share = trials["reconstruct_on"].map({"all": 1.0, "annotated": 0.0}).astype("float64")
    share *= per_patch
    labelling = {name: one.reconstructs for name, one in record.methods.items() if one.labels}
    alone = trials["model"].map(labelling).eq(False)
    share = share.mask(trials["model"].isin(list(labelling)), per_patch).mask(alone, 1.0)
    return trials.assign(unannotated_share=share.mask(trials["model"].isin(without), 0.0))


def _add_ratios(rows: list[dict[str, Any]], baseline: str) -> None:
    """Relates the seconds per confirmation trial to the baseline's at the same fraction."""
    baseline_s = {
        row["label_frac"]: row["trial_s"]
        for row in rows
        if row["model"] == baseline and row["phase"] == "confirm"
    }
    for row in rows:
        whole = baseline_s.get(row["label_frac"], math.nan)
        row["trial_s_per_baseline"] = _ratio(row["trial_s"], whole)


def _total(values: pd.Series[float]) -> float:
    """The sum; NaN without any value, and where one is not on record."""
    return float(values.sum(skipna=False)) if len(values) else math.nan


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _default_gpus(provenance: object) -> float | None:
    """GPUs of one trial where the configuration leaves it open; None if not on record."""
    hardware = provenance.get("hardware") if isinstance(provenance, Mapping) else None
    gpus = hardware.get("gpus") if isinstance(hardware, Mapping) else None
    return float(min(1, len(gpus))) if isinstance(gpus, list) else None
