"""Whether trials learned what they are compared by: unannotated pixels, and every class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from analysis.wording import class_text, counted, listed, named, percent, score, tenths
from contract.names import PSEUDO_SHARE, RECONSTRUCTION_ERRORS, RECONSTRUCTION_SHARE

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

LEARNED_BELOW: Final = 0.9
"""A reconstruction whose L1 is not below this share of the L1 of one constant colour shows nothing
of the image. A decoder that knows the mean brightness of its surroundings alone gets below it."""

LABELLED_BELOW: Final = 0.01
"""Where fewer of the pixels have a pseudo-label at the end, it is a trial without any."""

_ERROR, _CONSTANT, _BLOCKS = RECONSTRUCTION_ERRORS
_NAMED_APART: Final = 3
"""Most variants of which each is named where it never recognises a class."""
_RANGES: Final = (_ERROR, RECONSTRUCTION_SHARE)


def reconstruction_by_arm(record: StudyRecord) -> pd.DataFrame:
    """What the confirmation trials of every arm reconstructed; no row for an arm without a measure.

    Returns:
        Columns model (the variant), label_frac, num_trials (finished, with a measure), the names of
        `RECONSTRUCTION_ERRORS` and `RECONSTRUCTION_SHARE` (medians over trials), and `_low` and
        `_high` (smallest and largest) of the first and the last; NaN where none was recorded. Rows
        by label_frac, then variant in the order of the record.
    """
    import pandas as pd

    trials = _measured(record)
    rows = []
    for frac, variant in record.arms:
        arm = trials[(trials["variant"] == variant) & (trials["label_frac"] == frac)]
        if arm.empty:
            continue
        row = {"model": variant, "label_frac": frac, "num_trials": len(arm)}
        for name in (*RECONSTRUCTION_ERRORS, RECONSTRUCTION_SHARE):
            row[name] = float(arm[name].median())
            if name in _RANGES:
                row |= {f"{name}_low": arm[name].min(), f"{name}_high": arm[name].max()}
        rows.append(row)
    columns = ["model", "label_frac", "num_trials"]
    for name in (*RECONSTRUCTION_ERRORS, RECONSTRUCTION_SHARE):
        columns += [name, f"{name}_low", f"{name}_high"] if name in _RANGES else [name]
    return pd.DataFrame(rows, columns=columns)


def learning_warnings(record: StudyRecord) -> Iterator[str]:
    """Variants that reconstructed nothing or had no labels, and classes never recognised."""
    yield from _not_reconstructed(record)
    yield from _not_labelled(record)
    yield from _never_recognised(record)


def _not_reconstructed(record: StudyRecord) -> Iterator[str]:
    """One text for all variants whose reconstructions are hardly better than a constant colour.

    Where the reconstruction moves nothing, because its weight is 0, that is what was asked for.
    """
    trials = _measured(record)
    found = {}
    for variant, style in record.styles.items():
        own = trials[trials["variant"] == variant]
        if own.empty or (own[RECONSTRUCTION_SHARE] == 0.0).all():
            continue
        if (own[_ERROR] / own[_CONSTANT]).median() >= LEARNED_BELOW:
            found[variant] = style.label
    if not found:
        return
    of_all = trials[trials["variant"].isin(list(found))]
    what = "it reconstructs" if len(found) == 1 else "they reconstruct"
    text = (
        f"Nothing was reconstructed by {named(list(found.values()))}: the L1 of what {what} is "
        f"{_range(of_all[_ERROR])} where one constant colour gives {_range(of_all[_CONSTANT])} and "
        f"the mean colours of blocks of 8 px give {_range(of_all[_BLOCKS])}"
    )
    cure = "more steps or a larger w1 may let it learn"
    if of_all[RECONSTRUCTION_SHARE].notna().any():
        text += (
            f"; the reconstruction had {_range(of_all[RECONSTRUCTION_SHARE], tenths)} of the "
            "gradient of the weights that it shares with the segmentation"
        )
        cure = "more steps may let it learn, and a larger w1 where that share is small"
    yield f"{text}. These trials cannot tell what reconstruction brings; {cure}."


def _not_labelled(record: StudyRecord) -> Iterator[str]:
    """One text for all variants whose teachers were hardly ever sure enough, even at the end.

    Where pseudo-labels have no weight, that is no fault.
    """
    trials = _confirmed(record)
    found = {}
    for variant, style in record.styles.items():
        shares = trials.loc[trials["variant"] == variant, PSEUDO_SHARE].dropna()
        weightless = style.variant.levels.get("pseudo_weight") == 0
        if not (shares.empty or weightless or shares.median() >= LABELLED_BELOW):
            found[variant] = style.label
    if not found:
        return
    shares = trials.loc[trials["variant"].isin(list(found)), PSEUDO_SHARE].dropna()
    teacher = "teacher" if len(found) == 1 else "teachers"
    yield (
        f"Hardly any pixel got a pseudo-label from the {teacher} of {named(list(found.values()))}: "
        f"in the last steps {_range(shares, tenths)} of the pixels that are not annotated, "
        f"{tenths(shares.median())} in the median trial, reached pseudo_threshold. What "
        "pseudo-labels change is not measured by such trials; a lower threshold or more steps give "
        "more of them."
    )


def _never_recognised(record: StudyRecord) -> Iterator[str]:
    """One text for all classes of which a trial gets no pixel right though test tiles hold them."""
    trials = record.trials.set_index("trial_key")
    pooled = {key: one.pooled() for key, one in record.confusions.items()}
    classes = next((one.classes for one in record.confusions.values()), ())
    missed = []
    for index, name in enumerate(classes):
        held = trials.loc[[key for key, counts in pooled.items() if counts[index].sum() > 0]]
        misses = held[[pooled[key][index, index] == 0 for key in held.index]]
        if misses.empty:
            continue
        if len(record.styles) > _NAMED_APART:
            text = f"in {_part(misses, held)}"
        else:
            text = named(
                [
                    f"{style.label} in {_part(own, held[held['variant'] == variant])}"
                    for variant, style in record.styles.items()
                    if not (own := misses[misses["variant"] == variant]).empty
                ]
            )
        missed.append(f"{class_text(name)} ({text})")
    if missed:
        yield (
            "Of classes that the test tiles hold, not one pixel is recognised: "
            f"{'; '.join(missed)}. F1 and IoU are 0 there."
        )


def _part(some: pd.DataFrame, trials: pd.DataFrame) -> str:
    """How many of some trials, and at which fractions: "2 of 6 trials, both at 1 %"."""
    where = [percent(one) for one in sorted(some["label_frac"].unique())]
    each = "" if len(some) == 1 or len(where) > 1 else "both " if len(some) == 2 else "all "
    return f"{len(some)} of {counted(len(trials), 'trial')}, {each}at {listed(where)}"


def _measured(record: StudyRecord) -> pd.DataFrame:
    """Finished confirmation trials whose reconstruction was measured."""
    confirmed = _confirmed(record)
    return confirmed[confirmed[_ERROR].notna() & confirmed[_CONSTANT].notna()]


def _confirmed(record: StudyRecord) -> pd.DataFrame:
    """Finished confirmation trials."""
    trials = record.trials
    return trials[(trials["phase"] == "confirm") & (trials["status"] == "finished")]


def _range(values: pd.Series, written: Callable[[float], str] = score) -> str:
    """Such as '0.151 to 0.162', or one number where both ends read the same."""
    ends = [written(float(end)) for end in (values.min(), values.max())]
    return " to ".join(dict.fromkeys(ends))
