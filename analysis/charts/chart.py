"""A chart of the report and its files: PNG, SVG and the data as CSV, the same bytes each time."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.reading.styles import Styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, RULE, PAPER = "#1F2328", "#D8DCE0", "#FFFFFF"
"""Text, hairlines and background; the page replaces them by its own variables."""

DPI = 150

_NOTE_LETTERS_PER_IN, _NOTE_LINE_IN = 15.0, 0.17
"""Size of the small print below a whole figure."""
_LEGEND_IN, _LEGEND_LINE_IN, _LEGEND_LETTER_IN, _HANDLE_IN = 0.42, 0.24, 0.097, 0.62
"""Sizes of the legend above: its height, that of each further line, and the widths of a letter and
of a marker with the gaps beside it."""


SVG_UNITS_PER_IN = 72.0
"""Scale of the files' coordinates."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What a figure shows and how each of its panels is drawn."""

    name: str
    """Stem of its files and prefix of its ids on the page: lower case, digits and '_'."""
    label: str
    """What it shows, for a reader who cannot see it."""
    data: pd.DataFrame
    """The numbers drawn, one row per mark or stretch."""
    panels: tuple[Callable[[Axes], None], ...]
    """Each draws one panel, title and axes included; one or more."""
    styles: Styles
    """Styles of the variants in the legend, in order."""
    note: str = ""
    """What bands, points and lines are."""
    num_columns: int = 2
    """Panels side by side in the files, and at most so many on the page."""
    panel_in: tuple[float, float] = (4.8, 3.7)
    """Width and height of a panel in inches."""
    margins_in: tuple[float, float, float, float] = (0.55, 0.15, 0.6, 0.42)
    """Inches of a panel left, right, below and above its axes, for labels and title."""

    @property
    def csv(self) -> str:
        """The data as a file, six significant digits, nothing for NaN."""
        text: str = self.data.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        return text


def panel_columns(num_panels: int) -> int:
    """Panels of one size side by side: three, which a page has room for, none alone in a row."""
    return next((n for n in (3, 2, 4) if num_panels % n != 1), 3) if num_panels > 3 else num_panels


def write_chart(chart: Chart, folder: Path) -> tuple[Path, ...]:
    """Writes <name>.png, <name>.svg and <name>.csv.

    Args:
        chart: With all its panels.
        folder: Made if it does not exist.

    Returns:
        The paths written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg, csv = (folder / f"{chart.name}.{suffix}" for suffix in ("png", "svg", "csv"))
    with _style(salt=chart.name):
        figure = _whole_figure(chart)
        figure.savefig(png, dpi=DPI, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None})
    csv.write_text(chart.csv, encoding="utf-8", newline="\n")
    return png, svg, csv


def panel_corners_in(chart: Chart) -> list[tuple[float, float]]:
    """Upper left corner of every panel in the files, inches from the left and from the top."""
    num_columns = min(chart.num_columns, len(chart.panels))
    width_in, height_in = chart.panel_in
    top_in = _legend_height_in(chart)
    places = (divmod(index, num_columns) for index in range(len(chart.panels)))
    return [(column * width_in, top_in + row * height_in) for row, column in places]


def _whole_figure(chart: Chart) -> Figure:
    """All panels in rows, the legend above, the note below."""
    num_columns = min(chart.num_columns, len(chart.panels))
    width_in, height_in = chart.panel_in
    corners_in = panel_corners_in(chart)
    panels_end_in = corners_in[-1][1] + height_in
    note = textwrap.wrap(chart.note, int(num_columns * width_in * _NOTE_LETTERS_PER_IN))
    note_in = _NOTE_LINE_IN * (len(note) + 1) if note else 0.0
    figure = _new_figure(num_columns * width_in, panels_end_in + note_in)
    for draw, (left_in, top_in) in zip(chart.panels, corners_in, strict=True):
        draw(_add_panel(figure, chart, left_in, note_in + panels_end_in - top_in - height_in))
    if chart.styles:
        _add_legend(figure, chart)
    if note:
        x, y = 0.08 / figure.get_figwidth(), _NOTE_LINE_IN / 2 / figure.get_figheight()
        figure.text(x, y, "\n".join(note), fontsize=8.5, va="bottom")
    return figure


def _add_panel(figure: Figure, chart: Chart, left_in: float, bottom_in: float) -> Axes:
    """Axes inside the margins of a panel. Placed by hand: a layout engine takes half the time."""
    left, right, bottom, top = chart.margins_in
    width_in, height_in = chart.panel_in
    rectangle = (
        (left_in + left) / figure.get_figwidth(),
        (bottom_in + bottom) / figure.get_figheight(),
        (width_in - left - right) / figure.get_figwidth(),
        (height_in - bottom - top) / figure.get_figheight(),
    )
    axes: Axes = figure.add_axes(rectangle)
    return axes


def _legend_columns(chart: Chart) -> int:
    """Entries side by side above the panels: as many as the longest label leaves room for."""
    longest = max(len(style.label) for style in chart.styles.values())
    width_in = min(chart.num_columns, len(chart.panels)) * chart.panel_in[0]
    fitting = int(width_in / (_HANDLE_IN + longest * _LEGEND_LETTER_IN))
    return min(max(fitting, 1), len(chart.styles))


def _legend_height_in(chart: Chart) -> float:
    if not chart.styles:
        return 0.0
    num_lines = math.ceil(len(chart.styles) / _legend_columns(chart))
    return _LEGEND_IN + (num_lines - 1) * _LEGEND_LINE_IN


def _add_legend(figure: Figure, chart: Chart) -> None:
    from matplotlib.lines import Line2D

    num_columns = _legend_columns(chart)
    # matplotlib fills columns first, readers read lines.
    in_lines = [*chart.styles.values()]
    in_lines = [style for column in range(num_columns) for style in in_lines[column::num_columns]]
    handles = [
        Line2D(
            [],
            [],
            linestyle=style.line,
            linewidth=2.0,
            marker=style.marker,
            markersize=math.sqrt(style.marker_area),
            color=style.color,
            markeredgecolor=PAPER,
        )
        for style in in_lines
    ]
    figure.legend(
        handles,
        [style.label for style in in_lines],
        loc="upper left",
        ncols=num_columns,
        frameon=False,
        fontsize=11,
        handlelength=2.6,
        handletextpad=0.5,
        columnspacing=1.2,
        borderpad=0.4,
        labelspacing=0.35,
    )


def _new_figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def _style(*, salt: str) -> Any:
    """A context with the project's look; a fixed salt keeps SVG the same bytes every time."""
    import matplotlib as mpl
    import seaborn as sns

    look: dict[Any, Any] = sns.axes_style(
        "ticks",
        {
            "axes.edgecolor": INK,
            "axes.facecolor": "none",
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.spines.left": False,
            "ytick.left": False,
        },
    )
    sizes: dict[Any, Any] = {
        "text.parse_math": False,  # names may hold dollar signs
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.labelsize": 10,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "axes.linewidth": 0.8,
        "font.sans-serif": ["DejaVu Sans"],
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
    }
    return mpl.rc_context({**look, **sizes})
