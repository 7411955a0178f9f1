"""Charts and files as parts of a page that asks nothing of any host."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from analysis.charts import INK, PAPER, RULE, Chart, panel_svgs
from analysis.schema import MODELS


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file one click away, inside the page."""

    file_name: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """A chart as the page shows it."""

    name: str
    panels: tuple[str, ...]
    """SVG elements whose colours are the page's variables."""
    panel_width_px: int
    """Their natural width."""
    variants: tuple[str, ...]
    note: str
    downloads: tuple[Download, ...]


def page_chart(chart: Chart, files: tuple[Path, ...]) -> PageChart:
    """A chart's panels as elements, its files as links.

    Args:
        chart: As drawn into `files`.
        files: As from `charts.write_chart`; those offered are the CSV and the SVG.
    """
    offered = [path for suffix in (".csv", ".svg") for path in files if path.suffix == suffix]
    return PageChart(
        name=chart.name,
        panels=tuple(_element(text, chart, i) for i, text in enumerate(panel_svgs(chart))),
        panel_width_px=round(chart.panel_in[0] * 96),
        variants=chart.variants,
        note=chart.note,
        downloads=tuple(download(path.name, path.read_bytes()) for path in offered),
    )


_MEDIA = {
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
}


def download(file_name: str, content: bytes) -> Download:
    """A file as a link that holds it; its suffix must be one of those the report writes."""
    media = _MEDIA[Path(file_name).suffix]
    encoded = base64.b64encode(content).decode("ascii")
    return Download(file_name=file_name, uri=f"data:{media};base64,{encoded}")


def _element(document: str, chart: Chart, index: int) -> str:
    """An SVG document as an element of the page, its colours handed to the page's variables."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r' (?:xmlns(?::xlink)?|width|height|version)="[^"]*"', "", svg, count=5)
    variables = {INK: "--ink", RULE: "--rule", PAPER: "--paper"}
    variables |= {MODELS[variant].color: f"--{variant}" for variant in chart.variants}
    for color, variable in variables.items():
        svg = svg.replace(color.lower(), f"var({variable})")
    # many panels stand in one document: ids must not meet
    svg = re.sub(r'(id="|"#|url\(#)', rf"\g<1>{chart.name}-{index}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{chart.label}"', 1)
