"""`--space` and `--compare`: what they read, and everything they refuse."""

import pytest

from contract.parameters import PARAMETERS
from contract.space import SpaceError, Varied, Written, parse_compare, parse_space, split_space

W1, LR = PARAMETERS["w1"], PARAMETERS["lr"]


def error_of(text: str) -> str:
    with pytest.raises(SpaceError) as caught:
        parse_space(text)
    message = str(caught.value)
    assert "\n" not in message
    assert "--space" in message, "where"
    assert " must " in message, "what to do"
    return message


def test_a_name_has_its_own_domain():
    w1, lr, label_frac = parse_space("w1,lr,label_frac")
    assert (w1.name, w1.levels) == ("w1", None)
    assert (w1.low, w1.high) == (PARAMETERS["w1"].low, PARAMETERS["w1"].high)
    assert (lr.low, lr.high) == (PARAMETERS["lr"].low, PARAMETERS["lr"].high)
    assert label_frac.levels == PARAMETERS["label_frac"].levels


def test_levels_are_sorted_numbers():
    assert parse_space("label_frac=1/0.02/1e-1") == (
        Varied(parameter=PARAMETERS["label_frac"], levels=(0.02, 0.1, 1.0)),
    )
    assert parse_space("w1=0") == (Varied(parameter=W1, levels=(0.0,)),)


def test_ranges():
    assert parse_space("w1=0.01..0.5") == (Varied(parameter=W1, low=0.01, high=0.5),)
    assert parse_space("lr=1e-4..1") == (Varied(parameter=LR, low=1e-4, high=1.0),)


def test_spaces_around_everything_are_allowed():
    assert parse_space(" w1 = 0.1 / 0.3 , label_frac = 1 ") == parse_space(
        "w1=0.1/0.3,label_frac=1"
    )
    assert parse_space("w1 = 0.01 .. 0.5") == parse_space("w1=0.01..0.5")


@pytest.mark.parametrize(
    "text",
    [
        "w1,lr,label_frac",
        "w1=0/0.25,label_frac=0.005/0.1/1",
        "lr=1e-05..0.01",
        # Six digits, as `:g` writes, would make the two levels of each one:
        "label_frac=0.1234567/0.1234568",
        "w1=0.10000001..0.30000001",
    ],
)
def test_text_reads_back_as_the_same(text):
    varied = parse_space(text)
    assert parse_space(",".join(one.text for one in varied)) == varied


def test_text_is_what_a_person_would_write():
    assert [one.text for one in parse_space("label_frac=1/0.02,w1=0.01..0.5")] == [
        "label_frac=0.02/1",
        "w1=0.01..0.5",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w2", "'w2'"),
        ("w1,dropout", "'dropout'"),
        ("", "got ''"),
        ("w1,", "got ''"),
        (",", "got ''"),
        ("W1", "'W1'"),
        ("w1 label_frac", "'w1 label_frac'"),
    ],
)
def test_unknown_names_list_the_known_ones(text, said):
    message = error_of(text)
    assert said in message
    assert all(name in message for name in PARAMETERS)


@pytest.mark.parametrize("text", ["w1,w1", "w1=0.1,lr,w1=0.2", "label_frac,label_frac=1"])
def test_a_repeated_name_is_refused(text):
    assert "twice" in error_of(text)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("w1=1.2", "w1", "1.2"),
        ("w1=1", "w1", "1"),
        ("w1=-0.1", "w1", "-0.1"),
        ("w1=nan", "w1", "nan"),
        ("lr=0", "lr", "0"),
        ("lr=1e-4..2", "lr", "2"),
        ("lr=inf", "lr", "inf"),
        ("label_frac=0", "label_frac", "0"),
        ("label_frac=0.1/150", "label_frac", "150"),
        ("label_frac=-1", "label_frac", "-1"),
    ],
)
def test_values_outside_the_domain_are_refused(text, name, value):
    message = error_of(text)
    assert message.startswith(f"{name} must be {PARAMETERS[name].rule}, got {value} ")


@pytest.mark.parametrize("text", ["w1=a", "w1=", "w1=0.1/", "w1=0.1//0.2", "w1=0.1.."])
def test_what_is_not_a_number_is_refused(text):
    assert "must be a number" in error_of(text) or "must name" in error_of(text)


@pytest.mark.parametrize(
    "text", ["w1=0.5..0.01", "w1=0.1..0.1", "w1=0..0.5", "w1=0.1..0.2..0.3", "w1=0.1...0.3"]
)
def test_ranges_that_are_none_are_refused(text):
    assert "range" in error_of(text) or "number" in error_of(text)


def test_a_factor_is_never_searched():
    message = error_of("label_frac=0.01..1")
    assert "label_frac must be given as levels" in message
    assert "write label_frac=" in message


def test_repeated_levels_are_refused():
    assert "label_frac must differ" in error_of("label_frac=0.1/0.10/1")


def test_parts_are_split_as_they_are_written():
    """A reader of records checks nothing: names may be of another version."""
    assert split_space("w1=0.01..0.5, lr ,dropout = a / 0.10 ,x=1..2..3") == (
        Written(name="w1", ends=("0.01", "0.5")),
        Written(name="lr"),
        Written(name="dropout", levels=("a", "0.10")),
        Written(name="x", ends=("1", "2", "3")),
    )


def test_every_kind_is_read():
    batch, augment, decay = parse_space("batch_size=4..16,augment,weight_decay=1e-5..0.1")
    assert (batch.low, batch.high, type(batch.low)) == (4, 16, int)
    assert augment.levels == (False, True)
    assert [one.text for one in (batch, augment, decay)] == [
        "batch_size=4..16", "augment=no/yes", "weight_decay=1e-05..0.1",
    ]  # fmt: skip
    assert parse_space("augment=true")[0].levels == (True,)
    assert parse_space("reconstruct_on=annotated/all")[0].levels == ("all", "annotated")


def test_extremes_are_the_ends_of_numbers_and_every_choice():
    levels, ends, choices = parse_space("patch_px=32/64/128,warmup_steps=0..5,augment")
    assert (levels.extremes, ends.extremes) == ((32, 128), (0, 5))
    assert choices.extremes == (False, True)
    assert parse_space("patch_px=64")[0].extremes == (64,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batch_size=4.5", "batch_size must be a whole number from 1, got 4.5 in --space"),
        ("batch_size=nan", "batch_size must be a whole number from 1, got nan"),
        ("batch_size=inf", "batch_size must be a whole number from 1, got inf"),
        ("batch_size=0..4", "batch_size must be a whole number from 1, got 0"),
        ("augment=maybe", "augment must be yes or no, got 'maybe'"),
        ("augment=0..1", "augment must be given as levels"),
        ("reconstruct_on=none", "reconstruct_on must be all or annotated, got 'none'"),
    ],
)
def test_every_kind_refuses_what_it_does_not_hold(text, said):
    assert said in error_of(text)


def test_compared_parameters_are_levels_of_any_parameter():
    assert parse_compare(" ") == ()
    w1, augment = parse_compare("w1=0.1/0,augment")
    assert (w1.levels, augment.levels) == ((0.0, 0.1), (False, True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label_frac=0.1/1", "label_frac must be given in --space"),
        ("w1", "w1 must be given as two levels or more in --compare"),
        ("w1=0", "w1 must be given as two levels or more in --compare"),
        ("w1=0.1..0.5", "w1 must be given as two levels or more in --compare"),
        ("w2=0/1", "--compare must name parameters among w1, lr"),
        ("w1=0/1", "w1 must be in [0, 1), got 1 in --compare"),
        ("w1=0/0.1,w1=0/0.2", "--compare must name each parameter once"),
    ],
)
def test_what_cannot_be_compared_is_refused(text, said):
    with pytest.raises(SpaceError) as caught:
        parse_compare(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("label_frac=5/30/100", "label_frac=0.05/0.3/1"),
        ("w1,label_frac=5/30/100,lr", "w1,label_frac=0.05/0.3/1,lr"),
        ("label_frac=1%/10%/100%", "label_frac=0.01/0.1/1"),
        ("label_frac=0.5/5 %", "label_frac=0.005/0.05"),
        ("label_frac=1/5", "label_frac=0.01/0.05"),
        ("label_frac=7", "label_frac=0.07"),
    ],
)
def test_percent_was_out_of_a_range_without_a_word_of_what_to_write(text, meant):
    message = error_of(text)
    assert "label_frac must be in (0, 1], got " in message
    assert message.endswith(f"which is percent; write --space {meant}")
    assert parse_space(meant)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("label_frac=0.05,0.3,1", "label_frac=0.05/0.3/1"),
        ("w1,label_frac=0.05, 0.3, 1", "w1,label_frac=0.05/0.3/1"),
        ("label_frac=0.05,0.3,1,w1", "label_frac=0.05/0.3/1,w1"),
        ("label_frac=5,30,100", "label_frac=0.05/0.3/1"),
        ("label_frac=5%,30%,100%,lr=1e-3,1e-2", "label_frac=0.05/0.3/1,lr=1e-3/1e-2"),
        ("label_frac=0,05/0,3/1", "label_frac=0.05/0.3/1"),
        ("w1=0,1", "w1=0.1"),
        ("w1=0,1..0,5", "w1=0.1..0.5"),
        ("reconstruct_on=all,annotated,w1", "reconstruct_on=all/annotated,w1"),
        ("patch_px=32,64", "patch_px=32/64"),
    ],
)
def test_commas_between_levels_were_taken_for_names_of_parameters(text, meant):
    """`--space must name parameters among …, got '0.3'`."""
    message = error_of(text)
    assert message.endswith(f"write --space {meant}")
    assert "slashes" in message
    assert parse_space(meant)


def test_commas_of_compared_levels_are_told_too():
    with pytest.raises(SpaceError, match=r"write --compare w1=0/0\.1,rec_loss=l1/l1_ssim$"):
        parse_compare("w1=0,0.1,rec_loss=l1,l1_ssim")


@pytest.mark.parametrize("text", ["label_frac=0.1/1.5/200", "label_frac=-5/30", "label_frac=0/5"])
def test_what_is_no_percent_is_not_taken_for_it(text):
    assert "percent" not in error_of(text)
