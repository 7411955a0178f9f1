"""At which look a study stands, from its record alone."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from analysis.findings.findings import findings
from analysis.findings.warnings import warnings
from analysis.page.study_report import StudyReport
from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.looks import look_reached
from analysis.reading.schema import StudyDataError, parse_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.statistics.answer import answer_of
from analysis.statistics.scores import score_trials
from analysis.tables.answer.answer_files import answer_tables
from analysis.tables.comparison import comparison_text
from analysis.tables.study_tables import study_tables
from contract.protocol.looks import extend, plan_looks

WHEN = "2026-11-29T12:00:00+00:00"
FRACTIONS = (0.1, 1.0)
GAIN = 40
"""Pixels of a thousand that U-REC has right and U-Net has not."""


def record_of(
    num_ended, *, seeds, looks=None, status="running", failed=(), more=None, gain=lambda seed: GAIN
):
    """A study of two models, of whose arms the first `num_ended` seeds have ended.

    Args:
        num_ended: Of every arm; `more` names others by (model, fraction).
        seeds: As in its configuration.
        looks: On record; none in older ones.
        status: Of the study.
        failed: (model, fraction, seed) of those that failed.
        more: Seeds that have ended in some arms.
        gain: Of U-REC, by seed.
    """
    document = {
        "config": {"seeds": seeds, "seed": 0, "trials": 1, "space": "label_frac=0.1/1"},
        "dataset": {"classes": [{"name": "a"}, {"name": "b"}]},
    }
    if looks is not None:
        document["looks"] = [look.to_plain() for look in looks]
    rows, confusions = [], {}
    for model, frac in product(("urec", "unet"), FRACTIONS):
        rows.append(row_of(model, frac, 0, "search", "finished"))
        for seed in range(1, 1 + (more or {}).get((model, frac), num_ended)):
            is_failed = (model, frac, seed) in failed
            row = row_of(model, frac, seed, "confirm", "failed" if is_failed else "finished")
            rows.append(row)
            if not is_failed:
                right = 700 + seed + (gain(seed) if model == "urec" else 0)
                counts = np.array([[right, 1000 - right], [1000 - right, right]])
                confusions[row["trial_key"]] = TrialConfusion(
                    classes=("a", "b"),
                    exclude_from_mean=(),
                    tiles=tuple(TileConfusion(name=f"t{i}", full=counts) for i in range(3)),
                )
    return StudyRecord(
        info=parse_study(document, name="s", status=status),
        trials=pd.DataFrame(rows),
        confusions=confusions,
        failures={},
        notes=(),
        tracking_uri="",
    )


def row_of(model, frac, seed, phase, status):
    empty = {name: np.nan if kind == "float64" else "" for name, kind in TRIAL_COLUMNS.items()}
    return empty | {
        "trial_key": f"{phase}-{model}-{frac}-{seed}", "phase": phase, "model": model,
        "variant": model, "label_frac": frac, "seed": seed, "status": status, "converged": True,
    }  # fmt: skip


def answer(record):
    return answer_of(record, score_trials(record))


def has_p(record):
    """Whether anything of the study carries a p value."""
    found = answer(record)
    return any(
        not np.isnan(one.p_complete) for one in (*found.area_differences, *found.main_differences)
    )


def test_a_study_that_ended_at_its_one_look_needs_no_word():
    for looks in (None, plan_looks([7])):
        look = look_reached(record_of(7, seeds=7, looks=looks, status="finished"))
        assert (look.seeds, look.level, look.is_closed, look.sentence) == (None, 0.05, False, "")


@pytest.mark.parametrize("status", ["running", "stopped"])
@pytest.mark.parametrize("looks", [None, plan_looks([7])])
def test_reading_a_running_study_again_and_again_finds_nothing(status, looks):
    """Tested after every trial, 9 to 13 of 100 studies without a difference showed one."""
    for num_ended in range(7):
        record = record_of(num_ended, seeds=7, looks=looks, status=status)
        assert look_reached(record).is_closed
        assert not has_p(record)
    assert findings(answer(record)) == (
        "Findings are closed until 7 seeds of every arm have ended (6 so far): whoever tests again "
        "and again finds what is not there.",
    )
    complete = record_of(7, seeds=7, looks=looks, status=status)
    assert not look_reached(complete).is_closed
    assert has_p(complete)


def test_closed_findings_leave_means_and_counts():
    record = record_of(6, seeds=7)
    scores = score_trials(record)
    tables = study_tables(record, scores)
    frame = tables.comparison
    assert frame["mean_f1_mean"].notna().all()
    assert set(frame["num_seeds"]) == {6}
    assert frame[[name for name in frame if name.endswith("_sd")]].isna().all(axis=None)
    assert set(frame["remarks"]) == {"findings closed"}
    assert "findings closed" in comparison_text(frame)
    assert tables.differences == ()
    assert list(answer_tables(scores, answer(record))) == []


def dosed(num_ended, **others):
    """The same study, whose two models are levels of w1."""
    record = record_of(num_ended, **others)
    document = dict(record.info.document) | {
        "methods": [{"name": "urec", "label": "U-REC", "unannotated": "reconstruction"}],
        "variants": [
            {"name": name, "label": name, "short_label": name, "method": "urec",
             "is_baseline": level == 0.0, "levels": {"w1": level}}
            for name, level in (("unet", 0.0), ("urec", 0.1))
        ],
        "parameters": [{"name": "w1", "label": "w1", "role": "compared", "domain": "0/0.1"}],
    }  # fmt: skip
    return StudyRecord(
        info=parse_study(document, name="s", status=record.info.status),
        trials=record.trials.assign(model="urec"),
        confusions=record.confusions,
        failures={},
        notes=(),
        tracking_uri="",
    )


def test_no_chart_of_test_scores_is_drawn_before_the_first_look():
    """Dose-response curves had points of all seeds and their intervals, in the page and as CSV."""
    closed = StudyReport(record=dosed(6, seeds=7))
    assert closed.answer.closed
    assert [chart.name for chart in closed.charts()] == []
    names = [chart.name for chart in StudyReport(record=dosed(7, seeds=7)).charts()]
    assert {"label_scarcity", "dose_response_w1"} <= set(names)


def test_a_model_that_has_scores_beyond_the_look_alone_does_not_end_the_report():
    """Its first eight seeds failed, and a ninth of the next look has finished."""
    failed = [("urec", frac, seed) for frac in FRACTIONS for seed in range(1, 9)]
    record = record_of(9, seeds=[8, 14], looks=plan_looks([8, 14]), failed=failed)
    tables = study_tables(record, score_trials(record))
    assert tables.class_differences == ()
    assert "Only U-Net was confirmed" in findings(answer(record))[0]


def test_one_arm_that_is_behind_keeps_a_look_open():
    looks = plan_looks([8, 14])
    behind = record_of(10, seeds=[8, 14], looks=looks, more={("unet", 1.0): 7})
    assert look_reached(behind).is_closed
    assert "(7 so far)" in look_reached(behind).sentence


def test_findings_between_looks_are_those_of_the_last_complete_one():
    looks = plan_looks([8, 11, 14])
    at_look = record_of(8, seeds=[8, 11, 14], looks=looks)
    later = record_of(10, seeds=[8, 11, 14], looks=looks, gain=lambda seed: GAIN - 20 * (seed > 8))
    look = look_reached(later)
    assert look.seeds == frozenset(range(1, 9))
    assert look.level == pytest.approx(0.034202, abs=1e-6)
    assert look.sentence == (
        "The study planned looks at 8, 11 and 14 seeds, which may spend 0.034, 0.0085 and 0.0073 "
        "of the level 0.05. Findings rest on the first 8 seeds of every arm, at the level 0.034, "
        "until 11 have ended."
    )
    assert answer(later).level == look.level
    assert answer(later).main_differences == answer(at_look).main_differences
    assert answer(later).area_differences == answer(at_look).area_differences
    scores = score_trials(later)
    assert set(study_tables(later, scores).comparison["num_seeds"]) == {10}, "means have all"
    assert look.sentence in warnings(later, scores)


def test_the_next_look_has_its_own_level():
    looks = plan_looks([8, 11, 14])
    look = look_reached(record_of(12, seeds=[8, 11, 14], looks=looks))
    assert look.seeds == frozenset(range(1, 12))
    assert look.level == pytest.approx(0.008520, abs=1e-6)
    ended = look_reached(record_of(14, seeds=[8, 11, 14], looks=looks, status="finished"))
    assert ended.seeds == frozenset(range(1, 15))
    assert ended.sentence.endswith("first 14 seeds of every arm, at the level 0.0073.")


def test_seeds_that_were_not_planned_add_no_finding():
    looks = extend(plan_looks([7]), [10], WHEN)
    record = record_of(10, seeds=10, looks=looks, status="finished")
    look = look_reached(record)
    assert (look.seeds, look.level) == (frozenset(range(1, 8)), 0.05)
    assert look.sentence == (
        "The study planned 7 seeds per arm. Not planned, and added on 2026-11-29 after 7, were "
        "those up to 10: they count in means and intervals of arms, not in findings. Findings rest "
        "on the first 7 seeds of every arm, at the level 0.05."
    )
    assert {one.difference.num for one in answer(record).main_differences} == {7}


def test_seeds_added_before_anything_could_be_shown_count():
    """A study of 3 seeds is extended to 5, and then to 8."""
    looks = extend(plan_looks([3]), [8], WHEN)
    record = record_of(8, seeds=8, looks=looks, status="finished")
    look = look_reached(record)
    assert (look.seeds, look.level) == (frozenset(range(1, 9)), 0.05)
    assert "3 could have shown nothing, so that nothing had been spent" in look.sentence
    assert has_p(record)
    running = record_of(5, seeds=8, looks=looks)
    assert look_reached(running).is_closed
    assert "until 8 seeds of every arm have ended (5 so far)" in look_reached(running).sentence


def test_a_failed_trial_has_ended():
    failed = [("urec", 0.1, 3)]
    record = record_of(8, seeds=[8, 14], looks=plan_looks([8, 14]), failed=failed)
    assert look_reached(record).seeds == frozenset(range(1, 9))


@pytest.mark.parametrize(
    "more", [lambda looks: extend(extend(looks, [5], WHEN), [8], WHEN),
             lambda looks: extend(looks, [5, 8], WHEN)],
)  # fmt: skip
def test_seeds_that_findings_rest_on_are_not_said_to_be_left_out_of_them(more):
    """A study of 3 seeds was extended to 5, which can show nothing either, and to 8."""
    look = look_reached(record_of(8, seeds=8, looks=more(plan_looks([3])), status="finished"))
    assert look.seeds == frozenset(range(1, 9))
    assert "not in findings" not in look.sentence
    assert (
        "Not planned, and added on 2026-11-29 after 3, were those up to 5: so few could show "
        "nothing and spent nothing, and count in findings from 8 on." in look.sentence
    )


def given_up_record(statuses, *, status="stopped", searched="w1,", seeds=(0,), trials=1):
    """A look of 8 seeds that all arms but one have reached, whose search trials ended so.

    Args:
        statuses: Of the search trials of U-REC at 10 %, by suggestion, then by seed.
        status: Of the study.
        searched: What is searched.
        seeds: Of the search.
        trials: Suggestions that are asked for.
    """
    looks = plan_looks([8, 14])
    record = record_of(8, seeds=[8, 14], looks=looks, status=status, more={("urec", 0.1): 0})
    document = dict(record.info.document)
    document["config"] = document["config"] | {
        "space": f"{searched}label_frac=0.1/1", "trials": trials
    }  # fmt: skip
    document["search"] = {"seeds": list(seeds), "choice": "best", "simplest": {}}
    frame = record.trials[record.trials["trial_key"] != "search-urec-0.1-0"]
    rows = []
    for number, by_seed in enumerate(statuses):
        for seed, ended in zip(seeds, by_seed, strict=False):
            key = f"search-urec-f0.10-t{number:03d}" + (f"-s{seed}" if len(seeds) > 1 else "")
            rows.append(row_of("urec", 0.1, seed, "search", ended) | {"trial_key": key})
    return StudyRecord(
        info=parse_study(document, name="s", status=status),
        trials=pd.concat([frame, pd.DataFrame(rows)], ignore_index=True),
        confusions=record.confusions,
        failures={},
        notes=(),
        tracking_uri="",
    )


@pytest.mark.parametrize(("status", "is_closed"), [("stopped", False), ("running", True)])
def test_an_arm_without_a_finished_search_trial_is_not_waited_for(status, is_closed):
    """It is confirmed never; while the study runs, another search trial may come."""
    record = given_up_record([["failed"]], status=status)
    assert look_reached(record).is_closed == is_closed


@pytest.mark.parametrize(
    ("statuses", "is_closed"),
    [
        ([["finished", "failed"], ["failed", "finished"]], False),
        ([["failed", "failed"], ["pruned", "pruned"]], False),
        ([["failed", "failed"], ["finished", "finished"]], True),
        ([["failed", "failed"], ["failed"]], True),
        ([["failed", "failed"], ["failed", "stopped"]], True),
        ([["failed", "failed"]], True),
    ],
)
def test_a_look_waits_for_an_arm_exactly_while_its_search_may_still_choose(statuses, is_closed):
    """Every suggestion with one failed seed of two closed the look for ever; and of two asked for,
    the two failed trials of one opened it."""
    record = given_up_record(statuses, seeds=(0, 1_000_001), trials=2)
    assert look_reached(record).is_closed == is_closed


def test_an_arm_with_nothing_to_choose_is_waited_for_though_its_search_trial_failed():
    """It is confirmed all the same: findings were open before its first seed."""
    assert look_reached(given_up_record([["failed"]], searched="")).is_closed


def test_a_grid_has_as_many_suggestions_as_levels():
    for num, is_closed in ((2, True), (3, False)):
        record = given_up_record([["failed"]] * num, searched="w1=0/0.1/0.2,", trials=2)
        record.info.document["config"]["sampler"] = "grid"
        assert look_reached(record).is_closed == is_closed


def test_other_seeds_than_those_of_the_study_count_for_nothing():
    """Seeds follow the one of the search: with seed 5 the first look is of 6 to 13."""
    record = record_of(8, seeds=[8, 14], looks=plan_looks([8, 14]))
    record.info.document["config"]["seed"] = 5
    assert look_reached(record).is_closed
    moved = record.trials.assign(seed=record.trials["seed"] + 5)
    assert look_reached(replace(record, trials=moved)).seeds == frozenset(range(6, 14))


def test_a_record_without_seeds_is_closed_until_it_has_ended():
    record = record_of(7, seeds=None)
    assert look_reached(record).is_closed
    assert answer(record).closed == "Findings are closed until the study has ended."
    assert not look_reached(record_of(7, seeds=None, status="finished")).is_closed


@pytest.mark.parametrize(
    "looks",
    [[], 7, [{"seeds": 7}], "all", [{"seeds": 9, "level": 0.02}, {"seeds": 7, "level": 0.02}],
     [{"seeds": 7, "level": 0.05}, {"seeds": 9, "level": 0.05}], [{"seeds": 7, "level": 0.0}]],
)  # fmt: skip
def test_damaged_looks_are_refused(looks):
    with pytest.raises(StudyDataError, match=r"looks must .* in study.yaml of study s"):
        parse_study({"config": {}, "looks": looks}, name="s", status="finished")


def test_repeating_a_study_under_another_name_is_told():
    """The best of several studies without a difference showed one in 22 of 100."""
    record = record_of(7, seeds=7, status="finished")
    assert not any("on record" in text for text in warnings(record, score_trials(record)))
    record = record_of(7, seeds=7, status="finished")
    record.info.document["similar_studies"] = ["a", "s"]
    assert (
        "2 other studies of the same data, methods and fractions are on record (a, an earlier s); "
        "a finding of the best of several is not at its level."
    ) in warnings(record, score_trials(record))
