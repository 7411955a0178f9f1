"""The tables of a study as files: what stands in which row and column, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.reading.styles import Styles
from analysis.tables.comparison import FOR_READERS, SHARES, setting_names
from analysis.tables.costs.costs import relative_to
from analysis.tables.costs.time_spent import PART_LABELS
from analysis.tables.files.table_text import TextTable, machine_cell
from analysis.wording import MISSING, mean_and_sd, percent, score, setting, share, tenths

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.label_efficiency.shares import Shares

_SHARES = ("label_frac", "reached_frac", "with_val_frac", *SHARES)


def comparison_table(frame: pd.DataFrame, styles: Styles) -> TextTable:
    """The comparison: every column but the remarks as CSV, six digits; the main ones to read.

    What is read has a column of published OA and one of remarks where there are any.

    Args:
        frame: As from `comparison.comparison`.
        styles: Of the variants.
    """
    has_remarks = bool((frame["remarks"] != "").any())
    settings = setting_names(frame)
    published = [column for column in frame.columns if column == "oa_published"]
    header = ["Labels", "Model", "Seeds", "OA", "Mean F1", "Mean IoU", "Kappa"]
    header += ["OA, published"] * len(published) + [*settings, "Reached", "With validation"]
    readable = [header + ["Remarks"] * has_remarks]
    for row in frame.to_dict("records"):
        readable.append(
            [percent(row["label_frac"]), styles[row["model"]].label, str(row["num_seeds"])]
            + [
                mean_and_sd(row[f"{name}_mean"], row[f"{name}_sd"])
                for name in ("oa", "mean_f1", "miou", "kappa")
            ]
            + [score(row[column]) for column in published]
            + [setting(row[name]) for name in settings]
            + [share(row[name]) for name in ("reached_frac_mean", "with_val_frac_mean")]
            + [row["remarks"]] * has_remarks
        )
    return TextTable(
        stem="comparison",
        machine=machine_rows(frame.drop(columns=list(FOR_READERS)), settings=settings),
        readable=readable,
        caption="Test scores by share of the labels, mean ± standard deviation over seeds; labels: "
        "share of those of the training tiles asked for and reached, and share of all with "
        "validation included",
        columns="l" + "r" * (len(header) - 1) + "l" * has_remarks,
    )


def per_class_table(frame: pd.DataFrame, styles: Styles, shares: Shares) -> TextTable:
    """Precision, recall, F1 and IoU by class and variant, beside what is published.

    Args:
        frame: As from `comparison.per_class`.
        styles: Of the variants.
        shares: What their fractions reached.
    """
    published = [c for c in frame.columns if c.endswith("_published")]
    names = {"precision": "Precision", "recall": "Recall", "f1": "F1", "iou": "IoU"}
    header = ["Class", "Model", "Labels", "Seeds", *names.values()]
    header += [f"{names[column.removesuffix('_published')]}, published" for column in published]
    readable = [header]
    starts = []
    for row in frame.to_dict("records"):
        if row["class"] != (readable[-1][0] if len(readable) > 1 else None):
            starts.append(len(readable))
        readable.append(
            [row["class"], styles[row["model"]].label, shares.of(row["label_frac"]).text]
            + [str(row["num_seeds"])]
            + [score(row[column]) for column in (*names, *published)]
        )
    return TextTable(
        stem="per_class",
        machine=machine_rows(frame),
        readable=readable,
        caption="Test scores by class at each model's largest share of the labels, pixels pooled "
        "over seeds and test tiles",
        columns="ll" + "r" * (len(header) - 2),
        rule_before=starts[1:],
    )


def reconstruction_table(frame: pd.DataFrame, styles: Styles, shares: Shares) -> TextTable:
    """What every arm reconstructed, and how much that moved the weights both tasks share.

    Args:
        frame: As from `learned.reconstruction_by_arm`.
        styles: Of the variants.
        shares: What their fractions reached.
    """
    header = ["Labels", "Model", "Trials", "L1", "Least", "Most"]
    header += ["One colour", "Blocks of 8 px", "Share of gradient"]
    readable = [header]
    for row in frame.to_dict("records"):
        readable.append(
            [shares.of(row["label_frac"]).text, styles[row["model"]].label, str(row["num_trials"])]
            + [score(row[name]) for name in ("rec_l1", "rec_l1_low", "rec_l1_high")]
            + [score(row[name]) for name in ("rec_l1_constant", "rec_l1_blocks")]
            + [tenths(row["grad_share_rec"])]
        )
    return TextTable(
        stem="reconstruction",
        machine=machine_rows(frame),
        readable=readable,
        caption="Mean absolute error of the reconstruction on the validation tiles (median over "
        "confirmation trials), beside those of one constant colour and of the mean colours of "
        "blocks, and its share in the gradient of the weights that both tasks share",
        columns="ll" + "r" * (len(header) - 2),
    )


def costs_table(frame: pd.DataFrame, styles: Styles, shares: Shares) -> TextTable:
    """What every arm and phase cost.

    Args:
        frame: As from `costs.costs`.
        styles: Of the variants.
        shares: What their fractions reached.
    """
    shown: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("steps", "Steps", _decimals(0)),
        ("patches", "Patches", _decimals(0)),
        ("patches_unannotated", "Patches without labels", _decimals(0)),
        ("train_s", "Training s", _decimals(1)),
        ("eval_s", "Validation s", _decimals(1)),
        ("test_s", "Test tiles s", _decimals(1)),
        ("trial_s", "s per trial", _decimals(1)),
        ("trial_s_per_baseline", relative_to(styles), _decimals(2)),
        ("patches_per_s", "Patches/s", setting),
        ("peak_memory_mib", "Peak MiB", _decimals(0)),
        ("gpu_hours", "GPU-hours", setting),
        ("cpu_hours", "CPU-hours", setting),
    )
    header = ["Labels", "Model", "Phase", "Trials", "Timed", *(label for _, label, _ in shown)]
    readable = [header]
    for row in frame.to_dict("records"):
        readable.append(
            [shares.of(row["label_frac"]).text, styles[row["model"]].label, row["phase"]]
            + [str(row["num_trials"]), str(row["num_timed"])]
            + [written(row[column]) for column, _, written in shown]
        )
    return TextTable(
        stem="costs",
        machine=machine_rows(frame, ".6g"),
        readable=readable,
        caption="Cost of every arm; sums are over the timed trials, since a failed or pruned trial "
        "records no times",
        columns="lll" + "r" * (len(header) - 3),
        rule_before=range(4, len(readable), 3),
    )


def time_spent_table(frame: pd.DataFrame, styles: Styles) -> TextTable:
    """Where the time of a study went.

    Args:
        frame: As from `time_spent.time_spent`.
        styles: Of the variants.
    """
    variants = list(frame.columns[3:])
    header = ["Part", "Seconds", "Share of slot time"]
    header += [f"{styles[variant].label}, s" for variant in variants]
    readable = [header]
    for row in frame.to_dict("records"):
        readable.append(
            [PART_LABELS[row["part"]], _decimals(1)(row["seconds"])]
            + [tenths(row["share"])]
            + [_decimals(1)(row[variant]) for variant in variants]
        )
    machine = frame.rename(columns={variant: f"{variant}_s" for variant in variants})
    return TextTable(
        stem="time_spent",
        machine=machine_rows(machine, ".6g"),
        readable=readable,
        caption="Where the time of the study went: wall seconds over all trials that were "
        "measured, and their share of the time that all slots had",
        columns="l" + "r" * (len(header) - 1),
        rule_before=[
            index
            for index, row in enumerate(frame["part"], start=1)
            if row in ("slots", "tracking")
        ],
    )


def write_table(table: TextTable, folder: Path) -> tuple[Path, ...]:
    """Writes one table as .csv, .md and .tex into a folder, made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"csv": table.csv, "md": table.markdown, "tex": table.latex}
    paths = []
    for suffix, text in texts.items():
        path = folder / f"{table.stem}.{suffix}"
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)


def machine_rows(
    frame: pd.DataFrame, digits: str = ".6f", settings: Collection[str] = ()
) -> list[list[str]]:
    """A frame as the rows of a CSV, header first, nothing for NaN; settings keep their digits."""
    exact = {*_SHARES, *settings}
    return [
        list(frame.columns),
        *(
            [
                machine_cell(value, ".6g" if column in exact else digits)
                for column, value in row.items()
            ]
            for row in frame.to_dict("records")
        ),
    ]


def _decimals(num: int) -> Callable[[float], str]:
    """Writes numbers with `num` decimals and groups of thousands; MISSING for NaN."""
    return lambda value: MISSING if math.isnan(value) else f"{value:,.{num}f}"
