"""A chart of the report and its files: PNG, SVG and the data as CSV, the same bytes each time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.schema import MODELS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, RULE, PAPER = "#1F2328", "#D8DCE0", "#FFFFFF"
"""Text, hairlines and background; the page replaces them by its own variables."""

DPI = 150


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
    variants: tuple[str, ...]
    """Keys of MODELS in the legend."""
    note: str = ""
    """What bands, points and lines are."""
    num_columns: int = 2
    panel_in: tuple[float, float] = (4.8, 3.7)
    """Width and height of a panel in inches."""

    @property
    def csv(self) -> str:
        """The data as a file, six significant digits, nothing for NaN."""
        text: str = self.data.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        return text


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
    with _style(svg_text="path", salt=chart.name):
        figure = _whole_figure(chart)
        figure.savefig(png, dpi=DPI, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None})
    csv.write_text(chart.csv, encoding="utf-8", newline="\n")
    return png, svg, csv


def panel_svgs(chart: Chart) -> list[str]:
    """Every panel as an SVG document of its own whose text is text, without a legend."""
    hidden = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    documents = []
    for index, draw in enumerate(chart.panels):
        content = io.StringIO()
        with _style(svg_text="none", salt=f"{chart.name}-{index}"):
            figure = _new_figure(*chart.panel_in)
            draw(figure.subplots())
            figure.savefig(content, format="svg", transparent=True, metadata=hidden)
        documents.append(content.getvalue())
    return documents


def _whole_figure(chart: Chart) -> Figure:
    """All panels in rows, the legend above, the note below."""
    num_columns = min(chart.num_columns, len(chart.panels))
    num_rows = math.ceil(len(chart.panels) / num_columns)
    width_in, height_in = chart.panel_in
    figure = _new_figure(num_columns * width_in, num_rows * height_in + 0.6)
    cells = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for draw, axes in zip(chart.panels, cells, strict=False):
        draw(axes)
    for axes in cells[len(chart.panels) :]:
        axes.set_axis_off()
    if chart.variants:
        _add_legend(figure, chart.variants)
    if chart.note:
        figure.supxlabel(
            _wrapped(chart.note, num_columns * width_in), fontsize=8.5, x=0.008, ha="left"
        )
    return figure


def _wrapped(note: str, width_in: float) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(note, int(width_in * 15)))


def _add_legend(figure: Figure, variants: tuple[str, ...]) -> None:
    from matplotlib.lines import Line2D

    styles = [MODELS[variant] for variant in variants]
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=style.marker,
            markersize=math.sqrt(style.marker_area),
            color=style.color,
            markeredgecolor=PAPER,
        )
        for style in styles
    ]
    figure.legend(
        handles,
        [style.label for style in styles],
        loc="outside upper left",
        ncols=len(styles),
        frameon=False,
        fontsize=11,
        handletextpad=0.1,
        columnspacing=1.2,
        borderpad=0.4,
    )


def _new_figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _style(*, svg_text: str, salt: str) -> Any:
    """A context with the project's look; a fixed salt keeps SVG the same bytes every time."""
    import matplotlib as mpl
    import seaborn as sns

    look: dict[Any, Any] = sns.axes_style(
        "ticks",
        {
            "axes.edgecolor": INK,
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
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.labelsize": 10,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "axes.linewidth": 0.8,
        "font.sans-serif": ["DejaVu Sans"],
        "svg.fonttype": svg_text,
        "svg.hashsalt": salt,
    }
    return mpl.rc_context({**look, **sizes})
