import math
from typing import Any

import pandas as pd
import pytest

from analysis.reading.compared import StudyParameter, known_parameter, recorded_parameters
from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from analysis.search.domains import Domain, domain_of, searched_domains
from contract.space import parse_space


def parse_domains(space: str, study: str) -> tuple[Domain, ...]:
    """What is searched of a space, as older studies wrote it."""
    parameters = recorded_parameters({"config": {"space": space}}, study)
    return tuple(domain_of(one, study) for one in parameters if one.role == "searched")


def test_ranges_and_levels_are_read_and_factors_passed_over() -> None:
    text = "lr=0.01/0.0001/0.001,label_frac=0.01/0.1/1, w1 = 0.01..0.5,reconstruct_on=all/annotated"
    w1, lr = parse_domains(text, "demo")
    assert (w1.name, w1.levels, w1.low, w1.high) == ("w1", (), 0.01, 0.5)
    assert (lr.name, lr.levels) == ("lr", (0.0001, 0.001, 0.01))
    assert math.isnan(lr.low)


@pytest.mark.parametrize("text", ["w1=0.01..0.5,lr=0.0001..0.01", "w1=0/0.1/0.25,lr=0.001/1"])
def test_domains_are_those_that_the_study_writes(text: str) -> None:
    written = parse_space(text)
    for domain, varied in zip(
        parse_domains(",".join(v.text for v in written), "demo"), written, strict=True
    ):
        assert domain.levels == (varied.levels or ())
        if varied.levels is None:
            assert (domain.low, domain.high) == (varied.low, varied.high)


def test_name_alone_is_a_domain_that_is_not_known() -> None:
    (domain,) = parse_domains("w1,label_frac", "demo")
    assert not domain.is_known
    widened = domain.covering([0.02, 0.2])
    assert (widened.low, widened.high) == (0.02, 0.2)
    alone = domain.covering([0.1])
    assert alone.low < 0.1 < alone.high


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w1=0.5..0.01", "range of w1 must be LOW..HIGH with 0 < low < high, got '0.5..0.01'"),
        ("w1=0..0.5", "0 < low < high"),
        ("w1=0.1..0.2..0.3", "LOW..HIGH"),
        ("lr=0.1/much", "lr must be a number, got 'much' in the space of study demo"),
        ("lr=nan/0.1", "lr must be a number"),
        ("lr=..0.1", "lr must be a number, got ''"),
    ],
)
def test_broken_space_is_one_line_that_says_where(text: str, message: str) -> None:
    with pytest.raises(StudyDataError, match="in the space of study demo") as error:
        parse_domains(text, "demo")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_values_outside_of_a_domain_widen_it() -> None:
    widened = Domain(parameter=known_parameter("w1"), low=0.01, high=0.5).covering([0.005, 0.1])
    assert (widened.low, widened.high) == (0.005, 0.5)
    assert Domain(parameter=known_parameter("w1"), levels=(0.1, 0.3)).covering([0.2]).levels == (
        0.1,
        0.2,
        0.3,
    )
    assert Domain(parameter=known_parameter("w1")).covering([0.0, 0.1]).levels == (0.0, 0.1)


def test_position_is_logarithmic() -> None:
    domain = Domain(parameter=known_parameter("lr"), low=1e-4, high=1e-2)
    assert [domain.position(v) for v in (1e-4, 1e-3, 1e-2)] == pytest.approx([0.0, 0.5, 1.0])
    assert domain.position(0.0) == -math.inf


def parameter(**given: Any) -> StudyParameter:
    return StudyParameter(**{"name": "depth", "label": "depth", "role": "searched"} | given)


def test_position_on_a_linear_scale_is_linear() -> None:
    domain = Domain(parameter=parameter(), low=-1.0, high=3.0)
    assert [domain.position(v) for v in (-1.0, 0.0, 3.0)] == [0.0, 0.25, 1.0]
    assert domain.ticks() == (-1.0, 0.0, 1.0, 2.0, 3.0)
    alone = Domain(parameter=parameter()).covering([0.0])
    assert alone.low < 0.0 < alone.high


def test_few_whole_numbers_are_levels_and_many_are_a_range() -> None:
    whole = parameter(kind="integer")
    assert domain_of(parameter(kind="integer", domain="2..5"), "demo").covering([3.0]).levels == (
        2.0, 3.0, 4.0, 5.0,
    )  # fmt: skip
    many = Domain(parameter=whole, low=1.0, high=40.0).covering([7.0])
    assert (many.levels, many.low, many.high) == ((), 1.0, 40.0)
    log = Domain(parameter=parameter(kind="integer", log=True), low=8.0, high=32.0)
    assert log.ticks() == (8.0, 16.0, 32.0)


def test_words_keep_their_order_and_take_in_what_was_tried() -> None:
    choice = domain_of(parameter(kind="choice", domain="relu/elu/gelu"), "demo")
    assert choice.levels == ("relu", "elu", "gelu")
    assert choice.covering(["silu", "elu"]).levels == ("relu", "elu", "gelu", "silu")
    truth = domain_of(parameter(kind="yes/no", domain="True/no"), "demo")
    assert truth.levels == ("yes", "no")
    with pytest.raises(StudyDataError, match="depth must be yes or no"):
        domain_of(parameter(kind="yes/no", domain="maybe"), "demo")
    with pytest.raises(StudyDataError, match="range of depth must be LOW"):
        domain_of(parameter(kind="choice", domain="relu..gelu"), "demo")


def test_a_name_that_nobody_knows_is_read_from_its_levels() -> None:
    words, numbers = parse_domains("act=relu/elu,depth=1/3/2", "demo")
    assert (words.parameter.kind, words.levels) == ("choice", ("relu", "elu"))
    assert (numbers.parameter.kind, numbers.levels) == ("float", (1.0, 2.0, 3.0))


def test_ticks_leave_room_for_each_other() -> None:
    assert Domain(parameter=known_parameter("lr"), low=1e-4, high=1e-2).ticks() == pytest.approx(
        (1e-4, 1e-3, 1e-2)
    )
    assert Domain(parameter=known_parameter("w1"), low=0.01, high=0.5).ticks() == pytest.approx(
        (0.01, 0.1, 0.5)
    )
    assert Domain(parameter=known_parameter("w1"), low=0.01, high=0.12).ticks() == pytest.approx(
        (0.01, 0.12)
    )


def test_without_a_space_what_varies_was_searched(store: str) -> None:
    (domain,) = searched_domains(load_study("variants", store))
    assert (domain.name, domain.is_known) == ("lr", False)
    assert searched_domains(load_study("full", store)) == ()
    assert searched_domains(load_study("empty", store)) == ()


def test_space_on_record_counts_alone() -> None:
    from dataclasses import replace

    from analysis.reading.schema import StudyInfo
    from analysis.reading.sources.record import StudyRecord

    trials = pd.DataFrame(
        {"phase": ["search"] * 2, "variant": "urec", "model": "urec", "label_frac": 1.0}
    )
    info = StudyInfo(
        name="demo", status="finished", document={"config": {"space": "w1=0.1/0.2,label_frac=1"}}
    )
    record = StudyRecord(
        info=info,
        trials=trials.assign(w1=[0.1, 0.2], lr=[0.1, 0.2]),
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )
    assert [domain.name for domain in searched_domains(record)] == ["w1"]
    unrecorded = replace(record, info=replace(info, document={}))
    assert [domain.name for domain in searched_domains(unrecorded)] == ["w1", "lr"]
