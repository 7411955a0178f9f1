import math

import pandas as pd
import pytest

from analysis.reading.compared import StudyParameter, known_parameter, recorded_parameters
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.borders import border_remark, border_warnings
from analysis.search.domains import Domain, domain_of, searched_domains


def record_of(space: str, *trials: tuple[str, float, float, float, float]) -> StudyRecord:
    """Finished search trials (variant, label_frac, w1, lr, mean F1)."""
    columns = ["variant", "label_frac", "w1", "lr", "select_mean_f1"]
    frame = pd.DataFrame(trials, columns=columns).reindex(columns=list(TRIAL_COLUMNS))
    frame["model"] = frame["variant"].str.partition("-")[0]
    frame["phase"], frame["status"] = "search", "finished"
    frame["number"] = range(len(trials))
    frame["trial_key"] = [f"search-t{i:03d}" for i in range(len(trials))]
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished", document={"config": {"space": space}}),
        trials=frame,
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


W1 = Domain(parameter=known_parameter("w1"), low=0.01, high=0.5)


def arm(best: float, *, variant: str = "urec", frac: float = 0.01, num: int = 4) -> list[tuple]:
    rest = [(variant, frac, 0.1, 0.001, 0.5 - i / 100) for i in range(num - 1)]
    return [*rest, (variant, frac, best, 0.001, 0.6)]


def test_warning_says_arm_value_end_and_range() -> None:
    record = record_of("w1=0.01..0.5,label_frac=0.01/1", *arm(0.48))
    assert border_warnings(record) == (
        "U-REC at 1\N{NO-BREAK SPACE}%: the best w1, 0.48, sits at the upper end of its range "
        "0.01 to 0.5: a wider range may do better.",
    )


def test_few_trials_say_nothing() -> None:
    assert border_warnings(record_of("w1=0.01..0.5", *arm(0.48, num=3))) == ()


@pytest.mark.parametrize(("share", "expected"), [(0.049, "lower"), (0.051, ""), (0.5, "")])
def test_border_is_five_percent_of_the_logarithmic_range(share: float, expected: str) -> None:
    for value, end in (
        (0.01 * 50**share, expected),
        (0.01 * 50 ** (1 - share), expected and "upper"),
    ):
        remark = border_remark(W1, value)
        assert (f"the {end} end" in remark) if end else remark == ""


@pytest.mark.parametrize(
    ("levels", "best", "expected"),
    [
        ((0.1, 0.2, 0.3), 0.3, "is the highest of its levels 0.1, 0.2 and 0.3: a higher one"),
        ((0.1, 0.2, 0.3), 0.1, "is the lowest of its levels"),
        ((0.1, 0.2, 0.3), 0.2, ""),
        ((0.1, 0.3), 0.3, ""),
        ((0.0, 0.2, 0.3), 0.0, ""),
        ((0.0, 0.2, 1.0), 1.0, ""),
        ((0.0, 0.2, 0.3), 0.3, "is the highest"),
    ],
)
def test_levels_at_the_end_of_the_possible_are_no_border(
    levels: tuple[float, ...], best: float, expected: str
) -> None:
    remark = border_remark(Domain(parameter=known_parameter("w1"), levels=levels), best)
    assert remark.startswith(expected) if expected else remark == ""


def test_learning_rate_cannot_exceed_one() -> None:
    assert border_remark(Domain(parameter=known_parameter("lr"), low=1e-3, high=1.0), 1.0) == ""


def test_unknown_range_has_no_border(store: str) -> None:
    assert border_remark(Domain(parameter=known_parameter("w1")), 0.5) == ""
    assert border_warnings(record_of("w1,label_frac=1", *arm(0.48))) == ()
    for name in ("variants", "full", "empty", "stopped", "broken"):
        assert border_warnings(load_study(name, store)) == ()


def test_model_without_the_hyperparameter_is_left_out() -> None:
    rows = [("unet", 1.0, math.nan, 0.001, 0.5 + i / 100) for i in range(5)]
    assert border_warnings(record_of("w1=0.01..0.5", *rows)) == ()


def test_same_remark_at_several_fractions_is_said_once() -> None:
    rows = [*arm(0.5), *arm(0.5, frac=1.0), *arm(0.01, frac=0.1)]
    upper, lower = border_warnings(record_of("w1=0.01..0.5", *rows))
    assert upper.startswith("U-REC at 1\N{NO-BREAK SPACE}% and 100\N{NO-BREAK SPACE}%: ")
    assert lower.startswith("U-REC at 10\N{NO-BREAK SPACE}%: the best w1, 0.01, sits at the lower")


def test_pruned_and_failed_trials_do_not_count() -> None:
    record = record_of("w1=0.01..0.5", *arm(0.1), ("urec", 0.01, 0.5, 0.001, 0.9))
    record.trials.loc[4, "status"] = "pruned"
    assert border_warnings(record) == ()


def test_borders_of_whole_numbers_on_a_linear_scale() -> None:
    steps = Domain(parameter=known_parameter("warmup_steps"), low=0.0, high=100.0)
    assert border_remark(steps, 96.0).startswith("sits at the upper end of its range 0 to 100")
    assert border_remark(steps, 94.0) == ""
    assert border_remark(steps, 0.0) == ""  # fewer than none there cannot be
    depth = StudyParameter(name="depth", label="depth", kind="integer", role="searched")
    few = Domain(parameter=depth, low=2.0, high=5.0)
    assert "the lower end" in border_remark(few, 2.0)
    assert border_remark(few, 3.0) == ""


def test_nothing_lies_beyond_what_the_record_says_a_parameter_can_be() -> None:
    entry = {"name": "dropout", "domain": "0..0.5", "methods": ["net"]}
    for lowest, remark in ((0, ""), (None, "sits at the lower end")):
        document = {"parameters": [entry | {"lowest": lowest, "highest": 1}]}
        (parameter,) = recorded_parameters(document, "demo")
        assert border_remark(domain_of(parameter, "demo"), 0.001).split(" of")[0] == remark
        assert "upper" in border_remark(domain_of(parameter, "demo"), 0.5)


def test_what_has_but_one_level_was_not_searched() -> None:
    record = record_of("w1=0.1,lr=0.0001..0.01,label_frac=0.01/1", *arm(0.1))
    assert [one.name for one in searched_domains(record)] == ["lr"]


def test_a_warning_told_what_was_asked_for_where_all_else_tells_what_was_reached() -> None:
    record = record_of("w1=0.01..0.5,label_frac=0.01", *arm(0.49))
    record.trials["reached_frac"], record.trials["seed"] = 0.0083, 0
    (sentence,) = border_warnings(record)
    assert sentence.startswith("U-REC at 0.83\N{NO-BREAK SPACE}%: the best w1, 0.49, sits at")
