"""Confusion tables and their differences as files: rows, columns, captions, names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analysis.reading.styles import Styles
from analysis.statistics.label_efficiency.shares import Shares
from analysis.tables.confusion.confusion_differences import ConfusionDifference, largest_differences
from analysis.tables.confusion.confusion_tables import (
    HEADER,
    ConfusionTable,
    SummaryRows,
    largest_of,
)
from analysis.tables.files.table_text import TextTable, machine_cell
from analysis.wording import counted, score, signed
from contract.names import file_stem, fraction_text


def confusion_table(
    table: ConfusionTable, styles: Styles, shares: Shares, *, with_fraction: bool = False
) -> TextTable:
    """A confusion matrix with its three rows below; each file says the fraction and the seeds.

    In LaTeX the diagonal and the row of F1 are bold, as in the paper.

    Args:
        table: One of `confusion_tables.all_confusion_tables`.
        styles: Of the variants.
        shares: What their fractions reached.
        with_fraction: Whether the files' name has the fraction (`confusion_urec_f0.10`).
    """
    stem = table_stem(table, with_fraction=with_fraction)
    at = f"of {styles[table.variant].label} at {shares.of(table.label_frac).text} of the labels"
    caption = (
        f"Confusion matrix {at}, row-normalised, pooled over {counted(len(table.seeds), 'seed')} "
        f"and {counted(table.num_tiles, 'test tile')}"
    )
    lead = [machine_cell(table.label_frac, ".6g"), str(len(table.seeds))]
    return _matrix(
        stem, ["label_frac", "num_seeds"], lead, caption, table.classes,
        [*zip(table.classes, table.normalised, strict=True)], table.summary_rows, score,
    )  # fmt: skip


def table_stem(table: ConfusionTable | ConfusionDifference, *, with_fraction: bool) -> str:
    """Name of a table's files: `confusion_urec_minus_unet_f0.10`; the fraction where asked for."""
    names = [file_stem(table.variant)]
    if isinstance(table, ConfusionDifference):
        names += ["minus", file_stem(table.reference)]
    fraction = [f"f{fraction_text(table.label_frac)}"] * with_fraction
    return "_".join(["confusion", *names, *fraction])


def difference_table(
    table: ConfusionDifference, styles: Styles, shares: Shares, *, with_fraction: bool = False
) -> TextTable:
    """The difference of two confusion tables, signed, laid out as they are.

    Args:
        table: One of `confusion_differences.confusion_differences`.
        styles: Of the variants.
        shares: What their fractions reached.
        with_fraction: Whether the files' name has the fraction.
    """
    stem = table_stem(table, with_fraction=with_fraction)
    labels = " minus ".join(styles[name].label for name in (table.variant, table.reference))
    caption = (
        f"{labels}: difference of the row-normalised confusion matrices at "
        f"{shares.of(table.label_frac).text} of the labels, pooled over {pooled_over(table)}; no "
        "test is made per class"
    )
    lead = [
        machine_cell(table.label_frac, ".6g"),
        str(len(table.seeds)),
        str(len(table.reference_seeds)),
    ]
    return _matrix(
        stem, ["label_frac", "num_seeds", "num_seeds_subtracted"], lead, caption, table.classes,
        [*zip(table.classes, table.normalised, strict=True)], table.summary_rows, signed,
    )  # fmt: skip


def pooled_over(table: ConfusionDifference) -> str:
    """Such as '3 seeds and 17 test tiles', or '2 and 3 seeds and …' where they differ."""
    num, num_reference = len(table.seeds), len(table.reference_seeds)
    seeds = counted(num, "seed") if num == num_reference else f"{num} and {num_reference} seeds"
    return f"{seeds} and {counted(table.num_tiles, 'test tile')}"


def class_tables(
    confusions: Sequence[ConfusionTable],
    differences: Sequence[ConfusionDifference],
    styles: Styles,
    shares: Shares,
) -> Iterator[TextTable]:
    """All confusion tables and differences under their fraction; the largest without it too."""
    for table in largest_of(confusions, styles):
        yield confusion_table(table, styles, shares)
    for table in confusions:
        yield confusion_table(table, styles, shares, with_fraction=True)
    for difference in largest_differences(differences):
        yield difference_table(difference, styles, shares)
    for difference in differences:
        yield difference_table(difference, styles, shares, with_fraction=True)


def _matrix(
    stem: str,
    lead_names: list[str],
    lead: list[str],
    caption: str,
    classes: Sequence[str],
    rows: Sequence[tuple[str, Any]],
    summary: SummaryRows,
    written: Callable[[float], str],
) -> TextTable:
    """A square of classes and the rows below it, in the layout of the paper."""
    body = [(name, values.tolist()) for name, values in (*rows, *summary)]
    num = len(classes)
    diagonal = {(1 + index, 1 + index) for index in range(num)}
    return TextTable(
        stem=stem,
        machine=[
            [*lead_names, "reference", *classes],
            *([*lead, name, *map(machine_cell, values)] for name, values in body),
        ],
        readable=[
            [HEADER, *classes],
            *([name, *map(written, values)] for name, values in body),
        ],
        caption=caption,
        columns="l" + "r" * num,
        rule_before=(num + 1,),
        bold=diagonal | {(len(body), column) for column in range(num + 1)},
    )
