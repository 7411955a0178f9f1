"""Names that both sides of a study must spell alike."""

import string

import pytest

from contract.names import (
    arm_name,
    budget_stem,
    confirm_key,
    file_stem,
    fraction_text,
    search_key,
    search_number,
    suggestion_key,
)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.005, "0.005"), (1.0, "1.00"), (0.02, "0.02"), (0.1, "0.10"), (0.125, "0.125")],
)
def test_fractions_in_names(fraction, text):
    assert fraction_text(fraction) == text
    assert arm_name("unet", fraction) == f"unet-f{text}"


def test_names_of_close_fractions_differ():
    names = {fraction_text(fraction) for fraction in (0.1, 0.1000001, 0.10001, 0.1234567)}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("tile", "stem"),
    [
        ("area15", "area15"),
        ("top_potsdam_2_10-b.v2", "top_potsdam_2_10-b.v2"),
        ("a b", "a~20b"),
        ("50%#?", "50~25~23~3F"),
        ("~", "~7E"),
        ("a/b", "a~2Fb"),
        (".hidden", "~2Ehidden"),
        ("été", "~C3~A9t~C3~A9"),
    ],
)
def test_tile_names_in_files(tile, stem):
    assert file_stem(tile) == stem


def test_long_names_are_cut_and_stay_distinct():
    stems = {file_stem("ü" * 200 + end) for end in ("a", "b")}
    assert len(stems) == 2
    for stem in stems:
        assert len(stem) < 140
        assert set(stem) <= {*string.ascii_letters, *string.digits, "-", "_", ".", "~"}


@pytest.mark.parametrize("number", [0, 3, 999, 1000])
def test_the_number_of_a_search_trial_comes_back_from_its_key(number):
    key = search_key(arm_name("urec", 0.1), number)
    assert key.startswith("search-urec-f0.10-t")
    assert search_number(key) == number


def test_other_keys_have_no_number():
    assert confirm_key("unet-f1.00", 2) == "confirm-unet-f1.00-s2"
    for key in (confirm_key("unet-f1.00", 2), "search-unet-f1.00", "search-unet-t", "x-t003"):
        assert search_number(key) == -1


def test_a_budget_is_named_by_seed_and_fraction():
    assert budget_stem(3, 0.005) == "s3-f0.005"
    assert budget_stem(3, 0.1, order="diverse") == "s3-f0.10-diverse"


@pytest.mark.parametrize("arm", ["urec-f0.10", "mine-t003-s5-f0.10", "my-search-t1-f1.00"])
def test_trials_of_a_suggestion_share_its_number_and_key(arm):
    alone = search_key(arm, 3)
    keys = [search_key(arm, 3, seed) for seed in (0, 1_000_001)]
    assert keys == [f"{alone}-s0", f"{alone}-s1000001"]
    assert [search_number(key) for key in (alone, *keys)] == [3, 3, 3]
    assert {suggestion_key(key) for key in (alone, *keys)} == {alone}
    assert suggestion_key(confirm_key(arm, 3)) == confirm_key(arm, 3)
