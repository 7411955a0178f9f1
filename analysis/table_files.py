"""Tables as CSV, Markdown and LaTeX, the same bytes for the same study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.schema import MODELS
from analysis.tables import ConfusionTable
from analysis.wording import counted, mean_and_sd, percent, score, setting

if TYPE_CHECKING:
    import pandas as pd

Rows = list[list[str]]

_SETTINGS = ("label_frac", "w1", "lr", "reached_frac_mean")
_LATEX = {"\\": r"\textbackslash{}", "\N{EN DASH}": "--", "±": r"$\pm$", "\N{NO-BREAK SPACE}": "~"}
_LATEX |= {character: "\\" + character for character in "&%$#_{}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def write_comparison(frame: pd.DataFrame, folder: Path) -> tuple[Path, ...]:
    """Writes comparison.csv (every column but the remarks, six digits), .md and .tex.

    The two for reading have a column of remarks where there are any.

    Args:
        frame: As from `tables.comparison`.
        folder: Made if it does not exist.

    Returns:
        The paths written.
    """
    measured = frame.drop(columns="remarks")
    machine = [
        list(measured.columns),
        *(
            [_cell(str(column), value) for column, value in row.items()]
            for row in measured.to_dict("records")
        ),
    ]
    has_remarks = bool((frame["remarks"] != "").any())
    header = ["Labels", "Model", "Seeds", "OA", "Mean F1", "Mean IoU", "Kappa", "w1", "lr"]
    readable: Rows = [header + ["Remarks"] * has_remarks]
    for row in frame.to_dict("records"):
        readable.append(
            [percent(row["label_frac"]), MODELS[row["model"]].label, str(row["num_seeds"])]
            + [
                mean_and_sd(row[f"{name}_mean"], row[f"{name}_sd"])
                for name in ("oa", "mean_f1", "miou", "kappa")
            ]
            + [setting(row["w1"]), setting(row["lr"])]
            + [row["remarks"]] * has_remarks
        )
    caption = "Test scores by annotation fraction, mean ± standard deviation over seeds"
    columns = "l" + "r" * (len(header) - 1) + "l" * has_remarks
    return _write_all(folder, "comparison", machine, readable, caption, columns)


def write_confusion(table: ConfusionTable, folder: Path) -> tuple[Path, ...]:
    """Writes confusion_<variant>.csv, .md and .tex; each says the fraction and the seeds.

    Args:
        table: One of `tables.confusion_tables`.
        folder: Made if it does not exist.

    Returns:
        The paths written.
    """
    body = [
        *zip(table.classes, table.normalised.tolist(), strict=True),
        *((name, values.tolist()) for name, values in table.summary_rows),
    ]
    machine = [["label_frac", "num_seeds", "reference", *table.classes]]
    readable: Rows = [["Reference / Predicted", *table.classes]]
    for name, values in body:
        machine.append(
            [_cell("label_frac", table.label_frac), str(len(table.seeds)), name]
            + [_cell(name, value) for value in values]
        )
        readable.append([name, *(score(value) for value in values)])
    caption = (
        f"Confusion matrix of {MODELS[table.variant].label} at {percent(table.label_frac)} of the "
        f"labels, row-normalised, pooled over {counted(len(table.seeds), 'seed')} and "
        f"{counted(table.num_tiles, 'test tile')}"
    )
    stem = f"confusion_{table.variant}"
    num_classes = len(table.classes)
    columns = "l" + "r" * num_classes
    return _write_all(folder, stem, machine, readable, caption, columns, num_classes + 1)


def _cell(column: str, value: object) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:.6g}" if column in _SETTINGS else f"{value:.6f}"
    return str(value)


def _write_all(
    folder: Path,
    stem: str,
    machine: Sequence[Sequence[str]],
    readable: Rows,
    caption: str,
    columns: str,
    rule_before: int | None = None,
) -> tuple[Path, ...]:
    """Writes one table three times; `columns` aligns each to the left (l) or right (r)."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "csv": "".join(",".join(map(_quoted, row)) + "\n" for row in machine),
        "md": _markdown(readable, caption, columns),
        "tex": _latex(readable, caption, columns, f"tab:{stem}", rule_before),
    }
    paths = []
    for suffix, text in texts.items():
        path = folder / f"{stem}.{suffix}"
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)


def _quoted(cell: str) -> str:
    special = any(character in cell for character in ',"\n')
    return '"' + cell.replace('"', '""') + '"' if special else cell


def _markdown(rows: Rows, caption: str, columns: str) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    rule = "| " + " | ".join("---:" if column == "r" else "---" for column in columns) + " |"
    return "\n".join([f"{caption}.", "", lines[0], rule, *lines[1:]]) + "\n"


def _latex(rows: Rows, caption: str, columns: str, label: str, rule_before: int | None) -> str:
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escaped(caption)}.}}",
        rf"  \label{{{label}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
    ]
    for index, row in enumerate(rows):
        if index == 1 or index == rule_before:
            lines.append(r"    \midrule")
        lines.append("    " + " & ".join(map(_escaped, row)) + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
