"""The budgets of study.yaml."""

import pytest

from analysis.reading.budgets import EqualBudgets
from analysis.reading.planned import planned_arms
from analysis.reading.schema import StudyDataError, parse_study


def entry(seed: int, asked: float, reached: float) -> dict[str, object]:
    return {"seed": seed, "fraction_asked": asked, "fraction_reached": reached}


def info(**document: object):
    config = {"seed": 0, "models": ["urec", "unet"], "space": "label_frac=0.01/0.05/1"}
    return parse_study({"config": config, **document}, name="s", status="finished")


BUDGETS = [
    *(entry(0, frac, share) for frac, share in ((0.01, 0.1), (0.05, 0.2), (1.0, 1.0))),
    *(entry(seed, frac, 0.05 + seed / 100) for seed in (1, 2) for frac in (0.01, 0.05)),
    *(entry(seed, 1.0, 1.0) for seed in (1, 2)),
]
"""Those of the search differ, those of confirmation at 1 and 5 % do not: 6 and 7 %."""


def test_budgets_of_studies_that_did_not_look_are_compared_here() -> None:
    found = info(budgets=BUDGETS)
    assert found.equal_budgets == (EqualBudgets(asked=(0.01, 0.05), kept=0.05),)
    assert found.equal_budgets[0].left_out == (0.01,)
    assert [frac for frac, _ in planned_arms(found)] == [0.05, 0.05, 1.0, 1.0]


def test_what_the_study_decided_stands_also_where_more_seeds_differ() -> None:
    one = {"asked": [0.01, 0.05], "kept": 0.05}
    kept = [*BUDGETS, entry(3, 0.01, 0.01), entry(3, 0.05, 0.05)]
    assert info(budgets=kept).equal_budgets == ()
    assert info(budgets=kept, equal_budgets=[one]).equal_budgets[0].kept == 0.05
    assert info(budgets=BUDGETS, equal_budgets=[]).equal_budgets == ()


@pytest.mark.parametrize("damaged", [[{"asked": [0.1]}], [{"asked": "x", "kept": 1}], [3], 3])
def test_damaged_records_of_equal_budgets_are_refused(damaged: object) -> None:
    with pytest.raises(StudyDataError, match="equal_budgets must have fractions asked and kept"):
        info(budgets=BUDGETS, equal_budgets=damaged)


def test_budgets_of_validation_are_read_apart() -> None:
    found = info(budgets=BUDGETS, val_budgets=[entry(1, 0.5, 0.4)])
    assert [(one.seed, one.reached_frac) for one in found.val_budgets] == [(1, 0.4)]
    assert len(found.budgets) == len(BUDGETS)
    assert info().val_budgets == ()
