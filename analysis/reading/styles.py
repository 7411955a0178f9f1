"""How each variant of a study is named and drawn, everywhere: label, colour, marker, line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contract.methods import METHODS, Method
from contract.variants import Variant, effect_between, variant_pairs

LineStyle = tuple[int, tuple[float, ...]]
"""Offset and lengths of dashes and gaps, as matplotlib takes them; solid without any."""

_COLORS: Final = (
    ("#0072B2", "#56B4E9"),
    ("#D55E00", "#F0883E"),
    ("#CC79A7", "#CC79A7"),
    ("#004C40", "#0B6556"),
    ("#E6C119", "#F5EDA3"),
    ("#33CCFF", "#C2D9F0"),
    ("#260F3D", "#7847EB"),
    ("#6E2A0C", "#8F3924"),
)
"""On white and on a dark page: blue for the first baseline, vermilion for the first other variant,
then after Okabe and Ito (2008), lightened or darkened until any two are 20 apart in CIELAB for
normal, protan, deutan and tritan vision alike."""
_MARKERS: Final = (
    ("o", 30.0),
    ("D", 30.0),
    ("^", 48.0),
    ("s", 30.0),
    ("v", 48.0),
    ("P", 48.0),
    ("X", 48.0),
    ("*", 75.0),
)
"""matplotlib's, and their areas in square points: all look equally large."""
_LINES: Final[tuple[LineStyle, ...]] = (
    (0, ()),
    (0, ()),
    (0, ()),
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (1, 1)),
    (0, (4, 1.5, 1.5, 1.5, 1.5, 1.5)),
)
_NUM: Final = len(_COLORS)


@dataclass(frozen=True, kw_only=True)
class VariantStyle:
    """One variant of a study, and how it is named and drawn."""

    variant: Variant
    method_label: str
    """Begin of the label: the method's own, which stays on one line."""
    key: str
    """Name in CSS: `variant-0`; a variant's own name may hold anything."""
    color: str
    """Colour on white, '#RRGGBB'."""
    color_dark: str
    """The same for a dark page."""
    marker: str
    """matplotlib marker, so that the variants differ without colour too."""
    marker_area: float
    """In square points."""
    line: LineStyle

    @property
    def label(self) -> str:
        """The name that a reader sees."""
        return self.variant.label

    @property
    def is_baseline(self) -> bool:
        """Whether the variants of other methods are compared with it."""
        return self.variant.is_baseline


Styles = Mapping[str, VariantStyle]
"""By name of the variant, in the order of rows and legends."""


def styles_of(
    variants: Sequence[Variant], methods: Iterable[Method] = ()
) -> dict[str, VariantStyle]:
    """Colours, markers and lines in the order of the record.

    The first baseline and the first other variant look the same in every study. From the ninth
    variant on, colours come again with other markers and lines.

    Args:
        variants: In order, their names different.
        methods: Those that the record describes; their labels go before those of the contract.
    """
    labels = {name: method.label for name, method in METHODS.items()}
    labels |= {method.name: method.label for method in methods}
    places = _places(variants)
    styles = {}
    for one in variants:
        place = places[one.name]
        (color, color_dark), turn = _COLORS[place % _NUM], place // _NUM
        marker, area = _MARKERS[(place + turn) % _NUM]
        label = labels.get(one.method, one.label)
        styles[one.name] = VariantStyle(
            variant=one,
            method_label=label if one.label.startswith(label) else one.label,
            key=f"variant-{place}",
            color=color,
            color_dark=color_dark,
            marker=marker,
            marker_area=area,
            line=_LINES[(place + 3 * turn) % _NUM],
        )
    return styles


def _places(variants: Sequence[Variant]) -> dict[str, int]:
    """The place of each variant among colours: 0 the first baseline, 1 the first other one.

    First is who changes the fewest levels of the study, with every effect switched on.
    """
    taken: dict[str, int] = {}
    for place, is_baseline in enumerate((True, False)):
        alike = [one for one in variants if one.is_baseline == is_baseline]
        if alike:
            first = min(alike, key=lambda one: (one.is_control, one.num_changed))
            taken[first.name] = place
    rest = [one.name for one in variants if one.name not in taken]
    free = [*range(2, _NUM), *({0, 1} - set(taken.values())), *range(_NUM, _NUM + len(rest))]
    return taken | dict(zip(rest, free, strict=False))


def pairs_in(styles: Styles, present: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The (variant, reference) to compare, of those variants that are present, in order."""
    names = set(present)
    return variant_pairs([style.variant for name, style in styles.items() if name in names])


def against_baseline(styles: Styles, pair: tuple[str, str]) -> bool:
    """Whether it is asked how much annotation the first of a pair saves beside the second."""
    variant, reference = (styles[name] for name in pair)
    return reference.is_baseline and not variant.is_baseline


def own_effect(styles: Styles, pair: tuple[str, str]) -> str:
    """What the difference of a variant from its control is called; "" for any other pair.

    Returns:
        Such as "reconstruction's own effect".
    """
    effect = effect_between(*(styles[name].variant for name in pair))
    return f"{effect}'s own effect" if effect else ""


def arms_of(tried: Iterable[tuple[float, str]], styles: Styles) -> list[tuple[float, str]]:
    """Different (label_frac, variant) by label_frac, then in the order of the variants."""
    order = list(styles)
    return sorted(set(tried), key=lambda arm: (arm[0], order.index(arm[1])))


def baseline_label(styles: Iterable[VariantStyle]) -> str:
    """What the others are compared with, by its label where it is one."""
    labels = [style.label for style in styles if style.is_baseline]
    return labels[0] if len(labels) == 1 else "the baseline"
