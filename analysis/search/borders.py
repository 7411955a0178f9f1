"""Warnings where the best value of a search lies at the border of what it could choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.search.domains import Domain, searched_domains
from analysis.search.search_table import arms_of_search, ranked_trials
from analysis.search.suggestions import suggestions
from analysis.statistics.label_efficiency.shares import shares_on_record
from analysis.wording import listed, setting

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord

BORDER = 0.05
"""Share of a range, on its own scale, that counts as its end."""
MIN_TRIALS = 4
"""Finished trials of an arm; with fewer, the best of them lies anywhere."""
MIN_LEVELS = 3
"""Fewest levels with one in between that is no end."""


def border_warnings(record: StudyRecord) -> tuple[str, ...]:
    """One sentence for each arm and hyperparameter whose best value lies at an end.

    Returns:
        Such as "U-REC at 1 %: the best w1, 0.48, sits at the upper end of its range 0.01 to 0.5:
        a wider range may do better."; by annotation fraction, then in the order of the record. Arms
        of one variant of which the same is to be said share a sentence.

    Raises:
        StudyDataError: If the space on record cannot be read.
    """
    searched, domains = suggestions(record), searched_domains(record)
    shares = shares_on_record(record)
    fracs: dict[tuple[str, str], list[str]] = {}
    for frac, variant in arms_of_search(record, searched):
        ranked = ranked_trials(searched, variant, frac)
        for domain in (one for one in domains if one.parameter.is_number):
            tried = ranked.dropna(subset=[domain.name])
            if len(tried) < MIN_TRIALS:
                continue
            best = float(tried.loc[tried["is_chosen"], domain.name].iloc[0])
            remark = border_remark(domain, best)
            if remark:
                said = f"the best {domain.name}, {setting(best)}, {remark}"
                fracs.setdefault((variant, said), []).append(shares.said(frac))
    return tuple(
        f"{record.styles[variant].label} at {listed(where)}: {said}"
        for (variant, said), where in fracs.items()
    )


def border_remark(domain: Domain, best: float) -> str:
    """What is to be said of a best value, "" where it lies inside or nothing lies beyond it.

    Args:
        domain: Of numbers, as on record; of one that is not known nothing can be said.
        best: The value of the best trial.

    Returns:
        The end of a sentence, from its verb on.
    """
    if not domain.is_known or (domain.levels and len(domain.levels) < MIN_LEVELS):
        return ""
    ends = (domain.levels[0], domain.levels[-1]) if domain.levels else (domain.low, domain.high)
    low, high = map(float, ends)
    if domain.levels:
        at_low, at_high = best <= low, best >= high
    else:
        position = domain.position(best)
        at_low, at_high = position <= BORDER, position >= 1.0 - BORDER
    # Nothing lies beyond what a parameter can be at all.
    at_low &= low > domain.parameter.lowest
    at_high &= high < domain.parameter.highest
    if not at_low and not at_high:
        return ""
    if domain.levels:
        end, beyond = ("lowest", "a lower") if at_low else ("highest", "a higher")
        levels = listed([setting(level) for level in domain.levels])
        return f"is the {end} of its levels {levels}: {beyond} one may do better."
    end = "lower" if at_low else "upper"
    return (
        f"sits at the {end} end of its range {setting(low)} to {setting(high)}: a wider range may "
        "do better."
    )
