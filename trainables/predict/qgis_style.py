"""Styles by which QGIS shows class maps and polygons in the colours of the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from trainables.data.layouts.spec import ClassSpec, color_text
from trainables.predict.raster_output import writing
from trainables.storage.atomic_files import write_atomically

_DOCTYPE: Final = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_POLYGON_ALPHA: Final = 128
"""Of 255: the imagery below shows through."""


def raster_style(classes: Sequence[ClassSpec]) -> bytes:
    """A QML file for a class map: the name and colour of every value."""
    style = ElementTree.Element("qgis", version="3.0", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        ElementTree.SubElement(style, "pipe"),
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for index, one in enumerate(classes):
        ElementTree.SubElement(
            palette,
            "paletteEntry",
            value=str(index),
            label=one.name,
            color=color_text(one.color).lower(),
            alpha="255",
        )
    return _document(style)


def polygon_style(classes: Sequence[ClassSpec]) -> bytes:
    """A QML file for polygons: a colour for every value of the field `class`."""
    style = ElementTree.Element("qgis", version="3.0", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        style, "renderer-v2", type="categorizedSymbol", attr="class", enableorderby="0"
    )
    categories = ElementTree.SubElement(renderer, "categories")
    symbols = ElementTree.SubElement(renderer, "symbols")
    for index, one in enumerate(classes):
        ElementTree.SubElement(
            categories,
            "category",
            value=one.name,
            label=one.name,
            symbol=str(index),
            type="string",
            render="true",
        )
        symbol = ElementTree.SubElement(symbols, "symbol", type="fill", name=str(index), alpha="1")
        layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1"})
        options = ElementTree.SubElement(layer, "Option", type="Map")
        color = ",".join(map(str, one.color))
        for name, value in (
            ("color", f"{color},{_POLYGON_ALPHA}"),
            ("outline_color", f"{color},255"),
            ("outline_width", "0.3"),
            ("style", "solid"),
        ):
            ElementTree.SubElement(options, "Option", name=name, type="QString", value=value)
    return _document(style)


def write_style(path: Path, style: bytes) -> None:
    """Write a style; QGIS takes the one that lies under the name of a file it opens.

    Raises:
        DataError: If the disk is full.
    """
    with writing(path):
        write_atomically(path, style)


def _document(style: ElementTree.Element) -> bytes:
    ElementTree.indent(style)
    text: bytes = ElementTree.tostring(style, encoding="utf-8")
    return _DOCTYPE + text
