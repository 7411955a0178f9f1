"""Charts and files as parts of a page that asks nothing of any host."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from analysis.charts.chart import INK, PAPER, RULE, SVG_UNITS_PER_IN, Chart, panel_corners_in
from analysis.reading.styles import Styles

_NAMES = {
    "annotation_needed": "labels needed",
    "per_class": "classes",
    "label_scarcity": "curves of scores",
}
"""What readers call a table or figure whose file has another name."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file one click away, inside the page."""

    file_name: str
    uri: str

    @property
    def described(self) -> str:
        """What a link to it says, such as "comparison table as CSV"."""
        stem, _, suffix = self.file_name.rpartition(".")
        name = "confusion" if stem.startswith("confusion_") else _NAMES.get(stem, stem)
        name = name.replace("_", " ")
        return f"{name} {'table' if suffix == 'csv' else 'figure'} as {suffix.upper()}"


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """A chart as the page shows it."""

    name: str
    panels: tuple[str, ...]
    """SVG elements whose colours are the page's variables."""
    panel_width_px: int
    """Their natural width."""
    num_columns: int
    """Most panels side by side."""
    styles: Styles
    """Styles of the variants in the legend, in order."""
    note: str
    downloads: tuple[Download, ...]


def page_chart(chart: Chart, files: tuple[Path, ...]) -> PageChart:
    """A chart's panels as elements, its files as links.

    Args:
        chart: As drawn into `files`.
        files: As from `chart.write_chart`; the CSV and the SVG are offered as links.
    """
    svg = next(path for path in files if path.suffix == ".svg")
    offered = [path for suffix in (".csv", ".svg") for path in files if path.suffix == suffix]
    return PageChart(
        name=chart.name,
        panels=tuple(_elements(svg.read_text(encoding="utf-8"), chart)),
        panel_width_px=round(chart.panel_in[0] * 96),
        num_columns=min(chart.num_columns, len(chart.panels)),
        styles=chart.styles,
        note=chart.note,
        downloads=tuple(download(path.name, path.read_bytes()) for path in offered),
    )


_SVG = "{http://www.w3.org/2000/svg}"
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

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


def _elements(document: str, chart: Chart) -> list[str]:
    """The panels of a chart's SVG file as elements of the page, in the page's own colours.

    All of a chart's elements belong together: what one defines, the next ones use.
    """
    root = ElementTree.fromstring(document)
    groups = {group.get("id"): group for group in root.iter(f"{_SVG}g")}
    width, height = (side * SVG_UNITS_PER_IN for side in chart.panel_in)
    elements = []
    for index, (left_in, top_in) in enumerate(panel_corners_in(chart)):
        x, y = left_in * SVG_UNITS_PER_IN, top_in * SVG_UNITS_PER_IN
        attributes = {"viewBox": f"{x:g} {y:g} {width:g} {height:g}"}
        attributes |= {"role": "img", "aria-label": chart.label}
        panel = ElementTree.Element(f"{_SVG}svg", attributes)
        if index == 0:
            panel.extend(root.findall(f"{_SVG}defs"))
        panel.append(groups[f"axes_{index + 1}"])
        elements.append(_adapted(ElementTree.tostring(panel, encoding="unicode"), chart))
    return elements


def _adapted(svg: str, chart: Chart) -> str:
    """Remove what stands in HTML already, and take the colours and ids of the page."""
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(?::\w+)?="[^"]*"', "", svg)
    variables = {INK: "--ink", RULE: "--rule", PAPER: "--paper"}
    variables |= {style.color: f"--{style.key}" for style in chart.styles.values()}
    for color, variable in variables.items():
        svg = svg.replace(color.lower(), f"var({variable})")
    # charts stand in one document: ids must not meet
    return re.sub(r'(id="|"#|url\(#)', rf"\g<1>{chart.name}-", svg)
