"""Words that both sides say alike."""

import pytest

from contract.wording import flop_text, listed, minutes_text


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")]
)
def test_listed(parts, text):
    assert listed(parts) == text


@pytest.mark.parametrize(
    ("flop", "text"),
    [
        (120_000, "0.12 MFLOP"), (753_000_000, "753 MFLOP"), (999_400_000, "999 MFLOP"),
        (999_600_000, "1 GFLOP"), (95.43e9, "95.4 GFLOP"), (1.336e12, "1.34 TFLOP"),
        (3.1e20, "310 EFLOP"), (4e25, "4e+04 ZFLOP"),
    ],
)  # fmt: skip
def test_amounts_have_three_digits(flop, text):
    assert flop_text(flop) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0.25, "0.25"), (12.54, "12.5"), (99.97, "100"), (123.4, "123"), (12345.6, "12346")],
)
def test_minutes_have_no_exponent(minutes, text):
    assert minutes_text(minutes) == text
