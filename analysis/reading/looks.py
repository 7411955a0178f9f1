"""At which look a study stands: whose seeds findings may rest on, and at which level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.reading.planned import num_suggestions, planned_arms
from analysis.reading.sources.record import StudyRecord, once_per_record
from analysis.reading.styles import arms_of
from analysis.wording import counted
from contract.names import OPEN_STATUSES, suggestion_key
from contract.protocol.looks import Look, level_text, looks_text, next_tested
from contract.protocol.power import LEVEL

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class LookReached:
    """The look that findings are read at."""

    seeds: frozenset[int] | None
    """Confirmation seeds that tests and findings may use; None for all on record."""
    level: float
    """Chance at most, over the tests of this look, of calling a difference where there is none."""
    is_closed: bool
    """Whether nothing may be found yet: the study goes on, and no look is complete."""
    sentence: str
    """What was planned, what was not, and what was reached; "" for a study that ended at the one
    look that it planned."""

    def within(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Those of some rows with a column seed that findings may rest on; none while closed."""
        if self.is_closed:
            return rows.iloc[:0]
        return rows if self.seeds is None else rows[rows["seed"].isin(self.seeds)]


@once_per_record
def look_reached(record: StudyRecord) -> LookReached:
    """The last look of which all seeds of every arm have ended, and that may spend something.

    A study without looks on record, as earlier versions wrote them, had one, at its end. A look
    that may spend nothing adds no seeds to findings: those of the look before stay.
    """
    looks, has_ended = record.info.looks, record.info.has_ended
    if not looks:
        return LookReached(
            seeds=None,
            level=LEVEL,
            is_closed=not has_ended,
            sentence="" if has_ended else "Findings are closed until the study has ended.",
        )
    num_ended = _num_ended(record, looks)
    reached = [look for look in looks if has_ended or num_ended >= look.seeds]
    found = [look for look in reached if look.level > 0.0]
    if not found:
        return LookReached(
            seeds=None,
            level=LEVEL,
            is_closed=True,
            sentence=" ".join((*_plan(looks), _closed(looks, num_ended))),
        )
    is_only = len(looks) == 1
    said = () if is_only else (*_plan(looks), _open(found[-1], looks, reached))
    return LookReached(
        seeds=None if is_only else _first_seeds(record, found[-1].seeds),
        level=found[-1].level,
        is_closed=False,
        sentence=" ".join(said),
    )


def _num_ended(record: StudyRecord, looks: Sequence[Look]) -> int:
    """The most seeds, counted from the first, that have ended in every arm: finished or failed.

    An arm whose search found nothing to confirm has no more to wait for.
    """
    trials = record.trials
    has_ended = (trials["phase"] == "confirm") & ~trials["status"].isin(OPEN_STATUSES)
    ended = trials.loc[has_ended, ["label_frac", "variant", "seed"]]
    seeds = sorted(_first_seeds(record, looks[-1].seeds))
    nums = []
    for frac, variant in arms_of([*record.arms, *planned_arms(record.info)], record.styles):
        if _is_given_up(record, frac, variant):
            continue
        of_arm = ended[(ended["label_frac"] == frac) & (ended["variant"] == variant)]
        found = set(of_arm["seed"])
        missing = [number for number, seed in enumerate(seeds) if seed not in found]
        nums.append(missing[0] if missing else len(seeds))
    return min(nums, default=0)


def _is_given_up(record: StudyRecord, frac: float, variant: str) -> bool:
    """Whether an arm is never confirmed, as from `has_no_choice`; none is while a study runs."""
    return record.info.status != "running" and has_no_choice(record, frac, variant)


def has_no_choice(record: StudyRecord, frac: float, variant: str) -> bool:
    """Whether the search of an arm has ended, and left nothing to choose from.

    A suggestion is chosen only where all of its seeds have finished. An arm in which nothing is
    searched is confirmed whatever became of the search trial that earlier versions gave it.
    """
    method = record.styles[variant].variant.method
    searched = [one for one in record.searched if one.is_of(method, record.methods)]
    trials = record.trials
    of_arm = (trials["label_frac"] == frac) & (trials["variant"] == variant)
    arm = trials.loc[of_arm, ["trial_key", "phase", "status"]]
    if not searched or (arm["phase"] == "confirm").any():
        return False
    num_seeds = len(record.info.search_seeds) or 1
    suggested = arm["status"].groupby(arm["trial_key"].map(suggestion_key))
    ended = [
        set(statuses)
        for _, statuses in suggested
        if len(statuses) >= num_seeds and not statuses.isin(OPEN_STATUSES).any()
    ]
    is_chosen = any(statuses == {"finished"} for statuses in ended)
    return not is_chosen and len(ended) >= num_suggestions(record.info, searched)


def _first_seeds(record: StudyRecord, num: int) -> frozenset[int]:
    """The first confirmation seeds: they follow the search's; the lowest where it is unknown."""
    seed = (record.info.document.get("config") or {}).get("seed")
    if isinstance(seed, int):
        return frozenset(range(seed + 1, seed + 1 + num))
    confirmed = record.trials[record.trials["phase"] == "confirm"]
    return frozenset(sorted(map(int, confirmed["seed"].unique()))[:num])


def _plan(looks: Sequence[Look]) -> tuple[str, ...]:
    """What was planned, and what was not."""
    planned = [look for look in looks if look.is_planned]
    added = [look for look in looks if not look.is_planned]
    said = []
    if len(planned) > 1:
        said.append(f"The study planned {looks_text(planned)}.")
    elif added:
        said.append(f"The study planned {counted(planned[0].seeds, 'seed')} per arm.")
    for look in added:
        day = look.added.partition("T")[0]
        text = f"Not planned, and added on {day} after {look.after}, were those up to {look.seeds}"
        if look.level > 0.0:
            text += f": {look.after} could have shown nothing, so that nothing had been spent."
        elif (later := next_tested(look, looks)) is not None:
            text += (
                ": so few could show nothing and spent nothing, and count in findings from "
                f"{later.seeds} on."
            )
        else:
            text += ": they count in means and intervals of arms, not in findings."
        said.append(text)
    return tuple(said)


def _closed(looks: Sequence[Look], num_ended: int) -> str:
    first = next(look for look in looks if look.level > 0.0)
    return (
        f"Findings are closed until {counted(first.seeds, 'seed')} of every arm have ended "
        f"({num_ended} so far): whoever tests again and again finds what is not there."
    )


def _open(look: Look, looks: Sequence[Look], reached: Sequence[Look]) -> str:
    text = (
        f"Findings rest on the first {counted(look.seeds, 'seed')} of every arm, at the level "
        f"{level_text(look.level)}"
    )
    coming = [one for one in looks if one not in reached and one.level > 0.0]
    if coming:
        text += f", until {coming[0].seeds} have ended"
    return f"{text}."
