import pandas as pd

from analysis.findings.curve_findings import could_show, curve_heading, doubling_note
from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.statistics.answer import compute_answer
from analysis.tables.answer.answer_files import answer_tables
from analysis.tables.answer.answer_tables import curve_table, difference_table
from contract.protocol.power import difference_found

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

HIGHER = [0.05, 0.06, 0.05, 0.055, 0.052, 0.051, 0.053]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def study(gains: list[float]) -> pd.DataFrame:
    """Scores at 10 and 100 % where U-REC gains these on U-Net, per seed."""
    rows = []
    for frac, unet in ((0.1, 0.5), (1.0, 0.6)):
        for seed, gain in enumerate(gains):
            rows += [("unet", frac, seed, unet), ("urec", frac, seed, unet + gain)]
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def test_the_heading_of_the_curves_is_the_difference_of_their_areas() -> None:
    frame = study(HIGHER)
    heading = plain(curve_heading(compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))))
    assert heading == (
        "Averaged from 10 % to 100 % of the labels, U-REC minus U-Net is +0.053 mean F1 (+0.050 "
        "to +0.056 over 7 seeds, p = 0.020)"
    )
    alone = compute_answer(
        frame[frame["variant"] == "unet"], "mean_f1", STYLES, measures=("mean_f1",)
    )
    assert curve_heading(alone) == ""


def test_a_p_that_is_above_the_level_of_its_look_does_not_stand_alone_in_a_heading() -> None:
    """p = 0.04 at a look that may spend 0.034 shows nothing, and reads as if it did."""
    answer = compute_answer(
        study([*HIGHER[:5], 0.05, -0.001, 0.05]), "mean_f1", STYLES, measures=("mean_f1",),
        level=0.034,
    )  # fmt: skip
    heading = plain(curve_heading(answer))
    assert heading.endswith(" to be held against 0.034)")
    csv = curve_table(answer).set_index("what")
    assert csv.loc["area_difference", "level"] == 0.034
    assert set(difference_table(answer)["level"]) == {0.034}
    differences = next(one for one in answer_tables(study([]), answer)
                       if one.stem == "differences")  # fmt: skip
    assert differences.caption.endswith("tested at the level 0.034")


def test_twice_the_annotations_is_told_with_what_it_supposes_or_refused() -> None:
    fracs = (0.25, 0.5, 1.0)
    rows = [
        ("unet", frac, seed, 0.8 - 0.1 * frac**-0.5 + seed / 1000)
        for frac in fracs
        for seed in range(3)
    ]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    told = plain(doubling_note(compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))))
    assert told == (
        "Twice the labels would give a test mean F1 of 0.699 to 0.762 for U-Net (95 % "
        "intervals over seeds), if a doubling brings no more than the ones before it did."
    )
    few = frame[frame["label_frac"] > 0.3]
    assert doubling_note(compute_answer(few, "mean_f1", STYLES, measures=("mean_f1",))) == (
        "Nothing is said of more labels than were measured: that needs 3 fractions, this has 2."
    )


def test_two_seeds_make_no_heading_of_a_difference() -> None:
    frame = study([0.1, 0.1])
    answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))
    assert curve_heading(answer) == ""


def test_what_the_study_could_have_shown_follows_from_the_spread_seen() -> None:
    gains = [0.01, 0.03, 0.01, 0.03, 0.01, 0.03, 0.01, 0.03]  # standard deviation 0.0107
    answer = compute_answer(study(gains), "mean_f1", STYLES, measures=("mean_f1",))
    spread = 0.02 / 3.5**0.5 / 2 * 2**0.5 * 2**0.5
    curve = difference_found(8, 1, 0.04) * spread
    alone = difference_found(8, 2, 0.05 * (1 - 0.8)) * spread
    assert plain(could_show(answer)) == (
        f"With the spread seen, 80 % of such studies would show a difference of {curve:.3f} over "
        f"the whole curve and one of {alone:.3f} at a single fraction alone. 8 seeds of an arm may "
        "by chance show no failure or collapse that befalls up to 31 % of trials."
    )
    assert could_show(compute_answer(study([0.1]), "mean_f1", STYLES, measures=("mean_f1",))) == ""


def show(frame: pd.DataFrame, num_planned: int = 0) -> str:
    answer = compute_answer(
        frame, "mean_f1", STYLES, measures=("mean_f1",), num_planned=num_planned
    )
    return plain(could_show(answer))


def test_what_fractions_could_have_shown_is_at_their_part_of_the_level_without_an_area() -> None:
    """Without seeds that have both fractions, they were said to have the whole level."""
    frame = study([0.01, 0.03] * 8)
    frame = frame[(frame["label_frac"] < 1.0) == (frame["seed"] < 8)]
    spread = 0.02 / 3.5**0.5 / 2 * 2**0.5 * 2**0.5
    alone = difference_found(8, 2, 0.05 * (1 - 0.8)) * spread
    assert show(frame).startswith(
        f"With the spread seen, 80 % of such studies would show a difference of {alone:.3f} at a "
        "single fraction alone. 8 seeds"
    )


def test_where_no_size_is_enough_none_is_named() -> None:
    gains = [0.01, 0.03, 0.01, 0.03, 0.01, 0.03]
    text = show(study(gains))
    assert "no size" not in text
    assert (
        "No difference would be shown so often at a single fraction alone, whatever its size."
        in text
    )
    one = study(gains)
    assert "would show a difference of 0.0" in (alone := show(one[one["label_frac"] == 0.1]))
    assert "at the one fraction. 6 seeds" in alone
    assert "whatever its size" in show(one[one["label_frac"] == 0.1], num_planned=2)


def test_equal_models_are_not_said_to_be_told_apart_by_a_difference_of_nothing() -> None:
    assert "difference of 0.000" not in show(study([0.0] * 8))
