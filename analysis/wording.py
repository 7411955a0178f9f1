"""Numbers as a reader sees them: fractions, scores, differences, counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contract.wording import listed as listed

MISSING = "\N{EN DASH}"
"""Stands where nothing was measured."""


def percent(fraction: float) -> str:
    """A fraction as a percentage of three digits, such as "2 %" or "0.5 %", not to be broken."""
    value = 100.0 * fraction
    return (
        f"{value:,.0f}\N{NO-BREAK SPACE}%" if value >= 1000.0 else f"{value:.3g}\N{NO-BREAK SPACE}%"
    )


def share(fraction: float) -> str:
    """A fraction as from `percent`; MISSING for NaN."""
    return MISSING if math.isnan(fraction) else percent(fraction)


def tenths(fraction: float) -> str:
    """A fraction as a percentage with one decimal, such as "0.6 %", to stand in a column.

    Not to be broken; MISSING for NaN.
    """
    return MISSING if math.isnan(fraction) else f"{100.0 * fraction:.1f}\N{NO-BREAK SPACE}%"


def score(value: float) -> str:
    """A score in [0, 1] with three digits; MISSING for NaN."""
    return MISSING if math.isnan(value) else f"{value:.3f}"


def mean_and_sd(mean: float, sd: float) -> str:
    """Such as '0.712 ± 0.013'; without '±' for one seed (sd NaN); MISSING without a mean."""
    return score(mean) if math.isnan(sd) else f"{score(mean)} ± {sd:.3f}"


def signed(value: float) -> str:
    """A difference with its sign, three digits and a true minus; MISSING for NaN."""
    if math.isnan(value):
        return MISSING
    text = f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
    return "0.000" if text[1:] == "0.000" else text


def p_value(value: float) -> str:
    """A p value with three digits, '< 0.001' below, not to be broken; MISSING for NaN."""
    if math.isnan(value):
        return MISSING
    return "<\N{NO-BREAK SPACE}0.001" if value < 0.001 else f"{value:.3f}"


def p_text(value: float) -> str:
    """A p value as it stands in a sentence, not to be broken: 'p = 0.012' or 'p < 0.001'."""
    text = p_value(value)
    sign = "" if text.startswith("<") else "=\N{NO-BREAK SPACE}"
    return f"p\N{NO-BREAK SPACE}{sign}{text}"


def setting(value: float | str) -> str:
    """A hyperparameter: text as it is, a whole number as such, others with three digits at most.

    MISSING for NaN and "".
    """
    if isinstance(value, str) or math.isnan(value):
        return value or MISSING if isinstance(value, str) else MISSING
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def named(labels: Sequence[str]) -> str:
    """Labels as from `listed`, parted by semicolons where a label has a comma of its own."""
    if len(labels) < 2 or not any("," in label for label in labels):
        return listed(labels)
    return f"{'; '.join(labels[:-1])}; and {labels[-1]}"


def class_text(name: str) -> str:
    """The name of a class as a reader sees it: "low vegetation" of `low_vegetation`."""
    return name.replace("_", " ")


def counted(num: int, singular: str, plural: str | None = None) -> str:
    """Such as '1 trial' or '3 trials'."""
    return f"{num} {singular if num == 1 else plural or singular + 's'}"
