"""What is saved of the annotations, told again in minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.wording import minutes_text

if TYPE_CHECKING:
    from analysis.statistics.label_efficiency.shares import Shares


def savings_in_minutes(shares: Shares, savings: Sequence[tuple[float, float, float]]) -> str:
    """Savings of training annotations as the minutes that their budgets take.

    Args:
        shares: Of the study.
        savings: As of `validation_cost.savings_with_validation`.

    Returns:
        One sentence with a space before it; "" for a study without prices.
    """
    parts: list[str] = []
    for lowest, highest, own in savings:
        low, high, whole = (shares.of(one).minutes for one in (lowest, highest, own))
        if math.isnan(whole + high) or (math.isnan(low) and not math.isnan(lowest)):
            return ""
        unit = "" if parts else " minutes"
        if highest == own:  # less, as a test shows
            more = "" if math.isnan(low) else f"more than {minutes_text(low)} but "
            parts.append(f"{more}less than {minutes_text(whole)}{unit}")
        elif math.isnan(low):
            parts.append(f"at most {minutes_text(high)}{unit} instead of {minutes_text(whole)}")
        else:
            ends = " to ".join(dict.fromkeys(map(minutes_text, (low, high))))
            parts.append(f"{ends}{unit} instead of {minutes_text(whole)}")
    return f" Annotating them takes {'; '.join(parts)}, without the validation tiles."
