"""One table as CSV, Markdown and LaTeX text, the same bytes for the same table."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

Rows = Sequence[Sequence[str]]

_LATEX = {"\\": r"\textbackslash{}", "\N{EN DASH}": "--", "±": r"$\pm$", "\N{NO-BREAK SPACE}": "~"}
_LATEX |= {"\N{MINUS SIGN}": "$-$", "<": "$<$", ">": "$>$"}
_LATEX |= {character: "\\" + character for character in "&%$#_{}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """One table: for machines every number, for readers what they need, aligned."""

    stem: str
    """Name of its files without suffix."""
    machine: Rows
    """Rows of the CSV, the first one its header."""
    readable: Rows
    """Rows of Markdown and LaTeX, the first one the header."""
    caption: str
    """One sentence without its full stop."""
    columns: str
    """Alignment of each readable column: l or r."""
    rule_before: Collection[int] = ()
    """Readable rows (0 is the header) with a rule above them, in LaTeX."""
    bold: Collection[tuple[int, int]] = ()
    """Readable cells (row, column) in bold, in LaTeX."""

    @property
    def csv(self) -> str:
        """Comma-separated, one line feed after each row."""
        return csv_text(self.machine)

    @property
    def markdown(self) -> str:
        """The caption, then the table."""
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in self.readable]
        lines = ["| " + " | ".join(row) + " |" for row in escaped]
        rule = "| " + " | ".join("---:" if c == "r" else "---" for c in self.columns) + " |"
        return "\n".join([f"{self.caption}.", "", lines[0], rule, *lines[1:]]) + "\n"

    @property
    def latex(self) -> str:
        """A floating table, for the package booktabs."""
        lines = [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_escaped(self.caption)}.}}",
            rf"  \label{{tab:{self.stem}}}",
            rf"  \begin{{tabular}}{{{self.columns}}}",
            r"    \toprule",
        ]
        for index, row in enumerate(self.readable):
            if index == 1 or index in self.rule_before:
                lines.append(r"    \midrule")
            cells = [
                rf"\textbf{{{_escaped(cell)}}}" if (index, column) in self.bold else _escaped(cell)
                for column, cell in enumerate(row)
            ]
            lines.append("    " + " & ".join(cells) + r" \\")
        lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
        return "\n".join(lines) + "\n"


def machine_cell(value: object, digits: str = ".6f") -> str:
    """A value for CSV: numbers by `digits` (a format), NaN as nothing, the rest as it is."""
    if isinstance(value, float):
        return "" if math.isnan(value) else format(value, digits)
    return str(value)


def csv_text(rows: Rows) -> str:
    """Comma-separated, quoted where needed, one line feed after each row."""
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def _quoted(cell: str) -> str:
    special = any(character in cell for character in ',"\n')
    return '"' + cell.replace('"', '""') + '"' if special else cell


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
