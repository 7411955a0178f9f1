"""What varies: where values go, and what does not go together (options: `test_config.py`)."""

import dataclasses

import pytest

from contract.parameters import PARAMETERS
from contract.space import parse_compare, parse_space
from study.settings.presets import PRESETS
from study.settings.variation import combine_extremes, find_methods, find_parameters, with_values
from trainables.errors import ConfigError

SMOKE = PRESETS["smoke"].training


@pytest.mark.parametrize(
    ("values", "fields", "own"),
    [({"lr": 0.5}, {"lr": 0.5}, {"old": 1}), ({"tau": 0.9}, {}, {"old": 1, "tau": 0.9})],
)
def test_values_go_where_they_are_read(values, fields, own):
    training = dataclasses.replace(PRESETS["smoke"].training, method_parameters={"old": 1})
    expected = dataclasses.replace(training, **fields, method_parameters=own)
    assert with_values(training, values) == expected


def test_every_combination_of_ends_is_built():
    varied = {
        "--space": parse_space("lr=0.001/0.003/0.01,batch_size=4..8,label_frac"),
        "--compare": parse_compare("augment"),
    }
    found = {(one.lr, one.batch_size, one.augment) for one in combine_extremes(SMOKE, varied)}
    assert found == {(lr, size, turn) for lr in (0.001, 0.01) for size in (4, 8)
                     for turn in (False, True)}  # fmt: skip
    assert combine_extremes(SMOKE, {"--space": parse_space("label_frac")}) == (SMOKE,)


def test_ends_that_do_not_go_together_are_named_with_their_options():
    varied = {"--space": parse_space("warmup_steps=1..40"), "--compare": parse_compare("w1=0/0.1")}
    with pytest.raises(ConfigError) as caught:
        combine_extremes(SMOKE, varied)
    assert str(caught.value) == (
        "warmup_steps must be in [0, steps), got 40 in --space warmup_steps=40, --compare w1=0; "
        "choose values that go together"
    )


def test_methods_and_their_parameters():
    methods = find_methods(("unet", "urec"))
    assert [method.label for method in methods] == ["U-Net", "U-REC"]
    assert find_parameters(methods) == PARAMETERS
