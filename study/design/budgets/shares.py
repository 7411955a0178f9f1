"""Shares of labels in words, and why several fractions reach the same one."""

from __future__ import annotations

from collections.abc import Sequence

from trainables.data.budgets.annotation import Budget


def percents(shares: Sequence[float]) -> str:
    """A share, or the lowest to the highest of several, such as `0.53 to 1 %`."""
    return f"{_span([100 * one for one in shares], '.3g')} %"


def _span(values: Sequence[float], digits: str) -> str:
    low, high = f"{min(values):{digits}}", f"{max(values):{digits}}"
    return low if low == high else f"{low} to {high}"


def why_equal(budgets: Sequence[Budget]) -> str:
    """Why different fractions gave these budgets, of every seed."""
    kind = budgets[0].unit.kind
    nums = sorted({one.num_units for one in budgets})
    units = f"{_span(nums, 'd')} {kind}{'s' if nums != [1] else ''}"
    return (
        f"with every seed {units}, {percents([one.fraction_reached for one in budgets])} of the "
        f"training annotations, since {why_alike(budgets[0])}"
    )


def why_alike(budget: Budget) -> str:
    """Why a budget serves several fractions: its list does, or what it takes cannot be finer."""
    if budget.listed:
        return f"budget_lists have the same {budget.unit.kind}s for them"
    kind = budget.unit.kind  # an area grows by cells
    unit = "a cell of an area" if kind == "area" else f"a {kind}"
    return f"{unit} is too large to tell them apart"
