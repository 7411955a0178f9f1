"""A map of the tiles and the splits they belong to, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree

import numpy as np

from trainables.data.places.footprints import Footprint, in_one_system

_WIDE_PX: Final = 720.0
_HIGHEST_PX: Final = 560.0
_MARGIN_PX: Final = 4.0


def split_map(
    places: Sequence[Footprint],
    names: Sequence[str],
    groups: Sequence[str],
    colors: Mapping[str, str],
) -> str:
    """Draw where tiles lie, north up, in the reference system of the first.

    Args:
        places: The tiles (T).
        names: Their names (T); they are shown where a reader points.
        groups: What each belongs to (T).
        colors: Colour of every group, as CSS writes it.

    Returns:
        An SVG element, at most 720 x 560 pixels.
    """
    outlines = in_one_system(places, num_steps=4)
    has_place = [bool(np.isfinite(outline).all()) for outline in outlines]
    points = np.concatenate(
        [one for one, is_known in zip(outlines, has_place, strict=True) if is_known]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    system = places[0].crs
    # A degree of longitude is shorter than one of latitude.
    squeeze = np.cos(np.radians(np.clip(points[:, 1].mean(), -89, 89)))
    stretch = np.array([squeeze if system is not None and system.is_geographic else 1.0, 1.0])
    extent = np.maximum((high - low) * stretch, 1e-12)
    scale = min(_WIDE_PX / extent[0], _HIGHEST_PX / extent[1])
    size = extent * scale + 2 * _MARGIN_PX
    svg = ElementTree.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {size[0]:.0f} {size[1]:.0f}",
        width=f"{size[0]:.0f}",
        role="img",
    )
    ElementTree.SubElement(svg, "title").text = "Where the tiles of each split lie"
    for outline, is_known, name, group in zip(outlines, has_place, names, groups, strict=True):
        if not is_known:
            continue
        x = (outline[:, 0] - low[0]) * stretch[0] * scale + _MARGIN_PX
        y = (high[1] - outline[:, 1]) * scale + _MARGIN_PX
        corners = " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x, y, strict=True))
        shape = ElementTree.SubElement(
            svg,
            "polygon",
            {"points": corners, "fill": colors[group], "stroke": "white", "stroke-width": "1"},
        )
        ElementTree.SubElement(shape, "title").text = f"{name} ({group})"
    return ElementTree.tostring(svg, encoding="unicode")
