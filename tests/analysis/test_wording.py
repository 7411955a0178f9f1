import math

from analysis import wording


def test_numbers_as_a_reader_sees_them() -> None:
    assert wording.percent(0.02) == "2\N{NO-BREAK SPACE}%"
    assert wording.percent(0.07) == "7\N{NO-BREAK SPACE}%"
    assert wording.percent(0.005) == "0.5\N{NO-BREAK SPACE}%"
    assert wording.mean_and_sd(0.7123, 0.0131) == "0.712 ± 0.013"
    assert wording.mean_and_sd(0.7123, math.nan) == "0.712"
    assert wording.mean_and_sd(math.nan, math.nan) == wording.MISSING
    assert wording.signed(-0.0213) == "\N{MINUS SIGN}0.021"
    assert wording.signed(-0.0001) == "0.000"
    assert wording.setting(0.00031) == "0.00031"
    assert wording.counted(1, "seed") == "1 seed"
    assert wording.counted(2, "seed") == "2 seeds"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"


def test_large_shares_are_written_out() -> None:
    assert wording.percent(100.0) == "10,000\N{NO-BREAK SPACE}%"
    assert wording.percent(0.1234) == "12.3\N{NO-BREAK SPACE}%"


def test_shares_of_a_column_have_one_decimal() -> None:
    found = [
        wording.tenths(share).replace("\N{NO-BREAK SPACE}", " ")
        for share in (0.58943, 0.00005, 1.0)
    ]
    assert found == ["58.9 %", "0.0 %", "100.0 %"]
    assert wording.tenths(math.nan) == wording.MISSING


def test_settings_are_words_whole_numbers_or_three_digits() -> None:
    found = [wording.setting(value) for value in (0.00123456, 1024.0, 0.0, "relu", "", math.nan)]
    assert found == ["0.00123", "1024", "0", "relu", wording.MISSING, wording.MISSING]


def test_a_p_value_broke_after_its_letter() -> None:
    for value, text in ((0.0024, "p = 0.002"), (0.0002, "p < 0.001")):
        said = wording.p_text(value)
        assert " " not in said
        assert said.replace("\N{NO-BREAK SPACE}", " ") == text


def test_labels_with_commas_ran_into_each_other() -> None:
    plain = ["U-Net", "U-REC"]
    levels = ["U-REC, loss l1, w1 0.1", "U-REC, loss l2, w1 0.1", "FixMatch"]
    assert wording.named(plain) == "U-Net and U-REC"
    assert wording.named(levels[:1]) == "U-REC, loss l1, w1 0.1"
    assert wording.named(levels) == "U-REC, loss l1, w1 0.1; U-REC, loss l2, w1 0.1; and FixMatch"
