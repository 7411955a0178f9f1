"""The label-scarcity figure as PNG and SVG, the same bytes for the same study."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.figures import INK, ScarcityInfo, draw_label_scarcity, label_scarcity_info

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURE_SCORES = ("mean_f1", "oa")
"""One panel each, from left to right."""

DPI = 150


def write_label_scarcity(scores: pd.DataFrame, folder: Path) -> tuple[Path, ...]:
    """Writes label_scarcity.png and .svg, one panel per score of FIGURE_SCORES.

    Args:
        scores: As from `scores.score_trials`, with at least one row.
        folder: Made if it does not exist.

    Returns:
        The paths written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    infos = [label_scarcity_info(scores, measure) for measure in FIGURE_SCORES]
    paths = (folder / "label_scarcity.png", folder / "label_scarcity.svg")
    with _style(svg_text="path"):
        figure = _new_figure(9.6, 4.3)
        for column, (info, axes) in enumerate(
            zip(infos, figure.subplots(1, len(infos)), strict=True)
        ):
            draw_label_scarcity(info, axes)
            if column == 0:
                handles, labels = axes.get_legend_handles_labels()
                figure.legend(
                    handles,
                    labels,
                    loc="outside upper left",
                    ncols=len(labels),
                    frameon=False,
                    fontsize=11,
                    handletextpad=0.1,
                    columnspacing=1.2,
                    borderpad=0.4,
                )
        figure.supxlabel(infos[0].note, fontsize=8.5, x=0.008, ha="left")
        figure.savefig(paths[0], dpi=DPI, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def panel_svg(info: ScarcityInfo) -> str:
    """One panel as an SVG document whose text is text, without a legend."""
    content = io.StringIO()
    with _style(svg_text="none", salt=info.measure):
        figure = _new_figure(5.0, 3.7)
        draw_label_scarcity(info, figure.subplots())
        hidden = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(content, format="svg", transparent=True, metadata=hidden)
    return content.getvalue()


def _new_figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _style(*, svg_text: str, salt: str = "label_scarcity") -> Any:
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
