"""What can vary: rules, texts and rows."""

import math

import pytest

from contract.parameters import PARAMETERS, SEARCHED, Parameter, value_text
from trainables.settings.config import training_fields

WHOLE = Parameter(name="n", label="n", kind="integer", lowest=1, low=2, high=8, log=True)
CHOICE = Parameter(name="c", label="c", kind="choice", choices=("a", "b"), levels=("a",))


def test_every_row_says_where_its_value_goes():
    """A row that nothing uses would be searched without effect."""
    for name, parameter in PARAMETERS.items():
        assert parameter.name == name
        is_field = name in training_fields()
        assert is_field or name == "label_frac" or parameter.default is not None
        assert not (is_field and parameter.default is not None), "one place per default"


def test_what_was_searched_before_is_as_it_was():
    assert set(SEARCHED) >= {"w1", "lr", "weight_decay", "batch_size", "width", "ema_decay",
                             "augment", "patch_px", "warmup_steps"}  # fmt: skip
    assert (PARAMETERS["w1"].low, PARAMETERS["w1"].high) == (0.01, 0.95)
    assert (PARAMETERS["lr"].low, PARAMETERS["lr"].high) == (1e-4, 1e-2)
    assert PARAMETERS["w1"].log
    assert PARAMETERS["lr"].log


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "must have a default range or levels"),
        ({"low": 0, "high": 1, "levels": (1,)}, "must have a default range or levels"),
        ({"low": 1, "high": 0}, "range of x must be ascending"),
        ({"low": 0, "high": 1, "log": True}, "range of x must be ascending"),
        ({"low": 0, "high": 2, "highest": 1}, "got 2 as a default"),
        ({"kind": "integer", "levels": (1.5,)}, "got 1.5 as a default"),
        ({"kind": "choice", "choices": ("a",), "levels": ("b",)}, "x must be a, got 'b'"),
        ({"kind": "yes/no", "levels": (0,)}, "x must be yes or no, got 0"),
    ],
)
def test_rows_that_break_their_own_rule_are_refused(given, said):
    with pytest.raises(ValueError, match="must") as caught:
        Parameter(name="x", label="x", **given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "rule"),
    [
        (PARAMETERS["w1"], "in [0, 1)"),
        (PARAMETERS["label_frac"], "in (0, 1]"),
        (WHOLE, "a whole number from 1"),
        (CHOICE, "a or b"),
        (PARAMETERS["augment"], "yes or no"),
    ],
)
def test_rules_in_words(parameter, rule):
    assert parameter.rule == rule


def test_what_holds():
    assert WHOLE.holds(1)
    assert not WHOLE.holds(3.0)  # a file would keep another text than for 3
    for value in (0, 1.5, True, math.nan, math.inf, "2", None):
        assert not WHOLE.holds(value)
    assert not PARAMETERS["augment"].holds(1)
    assert not CHOICE.holds("c")


@pytest.mark.parametrize("value", [0.1, 1e-5, 3, True, False, "all"])
def test_texts_read_back(value):
    kind = {bool: "yes/no", int: "integer", float: "float", str: "choice"}[type(value)]
    choices = {"choices": ("all",)} if kind == "choice" else {}
    parameter = Parameter(name="x", label="x", kind=kind, levels=(value,), **choices)
    again = parameter.read(value_text(value))
    assert (again, type(again)) == (value, type(value))


def test_methods_that_have_it():
    assert PARAMETERS["w1"].serves("reconstruction")
    assert not PARAMETERS["w1"].serves("nothing")
    assert PARAMETERS["lr"].serves("nothing")


@pytest.mark.parametrize(
    "fields",
    [
        {"low": 1, "high": 2, "is_factor": True},
        {"kind": "int", "levels": (1, 2)},
        {"kind": "choice", "choices": ("a/b", "c"), "levels": ("c",)},
        {"kind": "choice", "choices": ("a..b",), "levels": ("a..b",)},
    ],
    ids=["factor with a range", "kind", "slash", "range"],
)
def test_a_row_that_no_option_could_spell_or_that_would_leave_methods_out(fields):
    with pytest.raises(ValueError, match=r"must (have|be)"):
        Parameter(name="x", label="x", **fields)


def test_an_effect_is_of_a_number_that_can_be_0():
    assert PARAMETERS["w1"].effect == "reconstruction"
    with pytest.raises(ValueError, match="must be a number that can be 0"):
        Parameter(name="x", label="x", lowest=0.5, low=0.5, high=1, effect="something")
