"""Suggestions of several seeds, made of trials as a study records them."""

import math
from typing import Any

import pandas as pd
import pytest

from analysis.reading.schema import StudyDataError, StudyInfo
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.borders import border_warnings
from analysis.search.choices import arm_choices, choices_csv
from analysis.search.search_section import search_charts, search_section
from analysis.search.search_table import search_results
from analysis.search.suggestions import ChoiceRule, choice_rule, suggestions
from contract.protocol.choice import SIMPLEST

SEARCH: dict[str, Any] = {
    "seeds": [0, 1_000_001, 1_000_002],
    "choice": SIMPLEST,
    "rule": "in words",
    "simplest": {"w1": 0.1},
}
SCORES = {
    0.05: (0.70, 0.72, 0.68),
    0.2: (0.72, 0.72, 0.72),
    0.1: (0.71, 0.73, 0.69),
}
"""By w1: the best is 0.2, and 0.1 lies within one standard error of it."""


def record_of(
    scores: dict[float, tuple[float | None, ...]] = SCORES,
    search: dict[str, Any] | None = SEARCH,
    statuses: dict[str, str] | None = None,
) -> StudyRecord:
    """One arm; a score of None is that of a trial without one, whose status is failed."""
    rows = []
    for number, (w1, of_seeds) in enumerate(scores.items()):
        for seed, score in zip(SEARCH["seeds"], of_seeds, strict=False):
            key = f"search-urec-f1.00-t{number:03d}"
            key += f"-s{seed}" if len(of_seeds) > 1 else ""
            status = "failed" if score is None else "finished"
            rows.append(
                {
                    "trial_key": key, "w1": w1, "number": number, "seed": seed,
                    "select_mean_f1": math.nan if score is None else score,
                    "status": (statuses or {}).get(key, status),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows).reindex(columns=list(TRIAL_COLUMNS)).sort_values("trial_key")
    frame["variant"], frame["model"], frame["label_frac"] = "urec", "urec", 1.0
    frame["phase"] = "search"
    document: dict[str, Any] = {"config": {"space": "w1=0.05/0.1/0.2,label_frac=1"}}
    if search is not None:
        document["search"] = search
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished", document=document),
        trials=frame.reset_index(drop=True),
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


def test_a_suggestion_is_the_mean_of_its_seeds_with_its_interval() -> None:
    frame = suggestions(record_of())
    assert frame["w1"].tolist() == [0.05, 0.2, 0.1]
    assert frame["select_score"].tolist() == pytest.approx([0.70, 0.72, 0.71])
    assert frame["seed_scores"].tolist() == list(SCORES.values())
    # t(2) 4.3027 times the standard deviation 0.02 over the root of 3
    assert frame.loc[0, "select_high"] == pytest.approx(0.70 + 4.302653 * 0.02 / math.sqrt(3))
    assert frame.loc[1, "select_low"] == pytest.approx(0.72)


def test_the_chosen_setting_is_that_of_the_rule_on_record() -> None:
    frame = suggestions(record_of())
    assert frame.loc[frame["is_chosen"], "w1"].tolist() == [0.1]
    (row,) = search_results(record_of()).to_dict("records")
    assert (row["w1"], row["num_settings"], row["num_trials"]) == (0.1, 3, 9)
    assert row["select_score"] == pytest.approx(0.71)


def test_without_a_rule_on_record_the_best_was_chosen() -> None:
    """Studies of earlier versions."""
    scores = {w1: of_seeds[:1] for w1, of_seeds in SCORES.items()}
    record = record_of(scores, search=None)
    frame = suggestions(record)
    assert frame.loc[frame["is_chosen"], "w1"].tolist() == [0.2]
    assert frame["select_low"].isna().all()
    assert choice_rule(record.info) == ChoiceRule()
    assert arm_choices(record) == ()


@pytest.mark.parametrize(
    ("last", "status", "expected"),
    [
        (None, "failed", "failed"),
        (0.73, "running", "running"),
        (0.73, "stopped", "stopped"),
        (0.73, "pruned", "pruned"),
    ],
)
def test_a_suggestion_counts_only_when_every_seed_has_finished(
    last: float | None, status: str, expected: str
) -> None:
    scores = {**SCORES, 0.1: (0.71, last, 0.69)}
    frame = suggestions(record_of(scores, statuses={"search-urec-f1.00-t002-s1000001": status}))
    assert frame.loc[2, "status"] == expected
    assert math.isnan(frame.loc[2, "select_score"])
    assert frame.loc[frame["is_chosen"], "w1"].tolist() == [0.2], "0.05 lies too far below"


def test_a_suggestion_with_a_seed_not_begun_has_not_ended() -> None:
    frame = suggestions(record_of({**SCORES, 0.1: (0.71, 0.73)}))
    assert frame.loc[2, "status"] == "stopped"
    assert not frame.loc[2, "is_chosen"]


def test_how_often_another_seed_would_have_chosen_otherwise_by_hand() -> None:
    """Seed 1 alone takes 0.2, seed 2 0.1, seed 3 0.2; chosen is 0.1.

    Without seed 1: differences to 0.2 of 0.1 are -0.01 and 0.03, mean 0.01, error 0.02: 0.1.
    Without seed 2: 0.01 and 0.03, mean 0.02, error 0.01: 0.2. Without seed 3: 0.01 and -0.01: equal
    means, 0.1 lies nearer.
    """
    (choice,) = arm_choices(record_of())
    assert (choice.num_seeds, choice.num_settings, choice.num_within) == (3, 3, 2)
    assert (choice.alone_otherwise, choice.without_otherwise) == (2, 1)
    assert (choice.low, choice.high) == pytest.approx((0.01, 0.01))
    assert choices_csv((choice,)).splitlines()[1] == "urec,1,3,3,2,2,1,0.01,0.01"


def test_a_choice_that_every_seed_makes_has_no_difference() -> None:
    (choice,) = arm_choices(record_of({0.05: (0.5, 0.5, 0.5), 0.2: (0.7, 0.71, 0.7)}))
    assert (choice.num_within, choice.alone_otherwise, choice.without_otherwise) == (1, 0, 0)
    assert math.isnan(choice.low)


def test_no_seed_chooses_otherwise_where_all_settings_are_equal() -> None:
    """The earliest was the best of every seed, and the chosen one no worse: 3 of 3 were counted."""
    (choice,) = arm_choices(record_of({0.05: (0.5,) * 3, 0.1: (0.5,) * 3, 0.2: (0.5,) * 3}))
    assert (choice.num_within, choice.alone_otherwise, choice.without_otherwise) == (3, 0, 0)


def test_the_section_says_what_is_known_of_the_choice() -> None:
    section = search_section(record_of())
    assert section.heading == "3 settings in one arm, 3 seeds each"
    assert "within one standard error" in section.choice_note
    assert "w1 0.1" in section.choice_note
    assert [file.file_name for file in section.choice_downloads] == ["choices.csv"]
    alone = {w1: of_seeds[:1] for w1, of_seeds in SCORES.items()}
    section = search_section(record_of(alone, search=None))
    assert "unknown" in section.choice_note
    assert section.choice_downloads == ()


def test_the_border_is_that_of_the_chosen_setting() -> None:
    scores = {0.1: (0.71, 0.73, 0.69), 0.05: (0.5,) * 3, 0.2: (0.72,) * 3, 0.15: (0.5,) * 3}
    assert border_warnings(record_of(scores)) == (), "0.2 is the best, and 0.1 was chosen"


@pytest.mark.parametrize("search", [{"seeds": [0]}, [], {**SEARCH, "choice": "by a coin"}])
def test_a_rule_that_cannot_be_read_is_refused_in_one_line(search: Any) -> None:
    with pytest.raises(StudyDataError, match="of study demo") as raised:
        choice_rule(record_of(search=search).info)
    assert "\n" not in str(raised.value)


def test_charts_of_several_seeds_show_means_with_intervals_and_ring_the_choice() -> None:
    best, isolated = search_charts(record_of())
    for chart in (best, isolated):
        assert "a setting with 3 seeds" in chart.note
    by_number = best.data.set_index("number")
    assert by_number.loc[0, "score"] == pytest.approx(0.70)
    assert by_number.loc[0, "low"] == pytest.approx(0.70 - 4.302653 * 0.02 / math.sqrt(3))
    chosen = isolated.data[isolated.data["is_chosen"]]
    assert chosen["value"].tolist() == [0.1]
    two = {w1: of_seeds[:2] for w1, of_seeds in SCORES.items()}
    best, _ = search_charts(record_of(two, search={**SEARCH, "seeds": [0, 1_000_001]}))
    assert best.data["low"].isna().all()
    assert "intervals need 3" in best.note
    alone = {w1: of_seeds[:1] for w1, of_seeds in SCORES.items()}
    assert "seeds" not in search_charts(record_of(alone, search=None))[0].note


def test_before_two_settings_have_ended_the_section_names_the_rule_alone() -> None:
    section = search_section(record_of({0.05: (0.7, 0.7, 0.7), 0.2: (0.7, 0.7)}))
    assert section.choices == ()
    assert section.choice_note.startswith("Chosen: of the settings")
    assert "Without one" not in section.choice_note
