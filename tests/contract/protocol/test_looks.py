"""Looks: what each may spend, and what an extension that was not planned may."""

import math

import pytest
import yaml

from contract.protocol.looks import (
    Look,
    can_show,
    extend,
    looks_text,
    next_tested,
    plan_looks,
    read_looks,
    spent,
)
from contract.protocol.power import LEVEL

WHEN = "2026-11-29T12:00:00+00:00"


@pytest.mark.parametrize(
    ("share", "level"),
    [  # 0.05 ln(1 + 1.718282 t), by hand
        (0.0, 0.0),
        (0.25, 0.017869),
        (0.5, 0.031006),
        (8 / 14, 0.034202),
        (11 / 14, 0.042722),
        (1.0, 0.05),
    ],
)
def test_spending_is_that_of_lan_and_demets(share, level):
    assert spent(share) == pytest.approx(level, abs=2e-6)


def test_looks_share_the_level():
    looks = plan_looks([8, 11, 14])
    assert [look.seeds for look in looks] == [8, 11, 14]
    assert [look.level for look in looks] == pytest.approx([0.034202, 0.008520, 0.007278], abs=2e-6)
    assert all(look.is_planned for look in looks)


@pytest.mark.parametrize("seeds", [[1], [7], [8, 11, 14], [2, 4, 6, 20], [6, 7, 8, 9, 10, 50]])
def test_levels_sum_to_that_of_the_study(seeds):
    levels = [look.level for look in plan_looks(seeds)]
    assert math.fsum(levels) == pytest.approx(LEVEL, abs=1e-12)
    assert min(levels) >= 0.0


def test_one_look_has_the_whole_level():
    assert plan_looks([3]) == (Look(seeds=3, level=0.05),)


def test_a_look_that_can_show_nothing_spends_nothing():
    """Four pairs give p 0.125 at best: the first look of 4,8 had thrown 0.031 away."""
    assert not can_show(4, 0.05)
    assert [look.level for look in plan_looks([4, 8])] == pytest.approx([0.0, 0.05])
    # 10 of 11 seeds spend 0.0469; the last look gets the rest, though 0.0031 < 2 / 2^10 is more
    # than its 11 pairs need.
    first, second = plan_looks([10, 11])
    assert second.level == pytest.approx(0.05 - first.level)


@pytest.mark.parametrize(("seeds", "level"), [(5, 0.0625), (6, 0.03125), (9, 0.00390625)])
def test_the_smallest_p_of_a_sign_flip_test(seeds, level):
    assert can_show(seeds, level)
    assert not can_show(seeds, level * 0.999)


def test_more_seeds_after_a_reading_spend_nothing():
    seven, ten = extend(plan_looks([7]), [10], WHEN)
    assert seven == Look(seeds=7, level=0.05)
    assert ten == Look(seeds=10, level=0.0, is_planned=False, added=WHEN, after=7)


def test_more_seeds_spend_what_no_reading_could_have_spent():
    """A demo of three seeds can show nothing: nobody was tempted by a finding of it."""
    three, eight = extend(plan_looks([3]), [8], WHEN)
    assert (three.level, eight.level) == (0.0, 0.05)
    assert (eight.is_planned, eight.after) == (False, 3)
    again = extend((three, eight), [10], WHEN)
    assert [look.level for look in again] == [0.0, 0.05, 0.0]


def test_looks_that_are_added_together_share_the_level():
    looks = extend(plan_looks([3]), [8, 11, 14], WHEN)
    assert [look.level for look in looks[1:]] == [look.level for look in plan_looks([8, 11, 14])]
    assert {look.after for look in looks[1:]} == {3}


def test_planned_looks_stay_when_seeds_are_added_in_between():
    looks = extend(plan_looks([8, 14]), [20], WHEN)
    assert looks[:2] == plan_looks([8, 14])
    assert looks[2].level == 0.0


@pytest.mark.parametrize("seeds", [[3], [7], [8, 11, 14]])
def test_extended_looks_never_spend_more_than_the_level(seeds):
    looks = plan_looks(seeds)
    for more in (15, 16, 30):
        looks = extend(looks, [more], WHEN)
        assert sum(look.level for look in looks) <= LEVEL + 1e-12


def test_plain_and_back():
    for look in extend(plan_looks([8, 14]), [20], WHEN):
        assert Look.from_plain(yaml.safe_load(yaml.safe_dump(look.to_plain()))) == look
    assert plan_looks([7])[0].to_plain() == {"seeds": 7, "level": 0.05, "is_planned": True}


@pytest.mark.parametrize(
    "plain",
    [
        None, 7, [], {}, {"seeds": 7}, {"seeds": 0, "level": 0.05}, {"seeds": 7, "level": 0.06},
        {"seeds": 7.5, "level": 0.05}, {"seeds": "7", "level": 0.05}, {"seeds": 7, "level": -0.01},
        {"seeds": 7, "level": float("nan")}, {"seeds": 7, "level": 0.05, "more": 1},
        {"seeds": 7, "level": 0.05, "is_planned": "no"},
    ],
)  # fmt: skip
def test_damaged_looks_are_refused(plain):
    with pytest.raises(ValueError, match="looks must have seeds from 1 on"):
        Look.from_plain(plain)


def test_text():
    assert looks_text(plan_looks([8, 11, 14])) == (
        "looks at 8, 11 and 14 seeds, which may spend 0.034, 0.0085 and 0.0073 of the level 0.05"
    )
    assert looks_text(plan_looks([7])) == (
        "a look at 7 seeds, which may spend 0.05 of the level 0.05"
    )


def test_seeds_count_in_findings_from_the_next_look_that_spends():
    three, five, eight = extend(plan_looks([3]), [5, 8], WHEN)
    assert next_tested(three, (three, five, eight)) == eight
    assert next_tested(eight, (three, five, eight)) is None


def test_looks_are_read_as_they_were_written():
    looks = extend(plan_looks([8, 11, 14]), [20], WHEN)
    assert read_looks([look.to_plain() for look in looks]) == looks


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([(9, 0.02), (7, 0.02)], "seeds that ascend, got \\[9, 7\\]"),
        ([(7, 0.02), (7, 0.02)], "seeds that ascend"),
        ([(7, 0.05), (9, 0.05)], "sum is above 0 and at most 0.05, got \\[0.05, 0.05\\]"),
        ([(3, 0.0)], "sum is above 0"),
    ],
)
def test_looks_that_would_spend_more_than_the_level_are_refused(listed, said):
    with pytest.raises(ValueError, match=f"looks must have .*{said}"):
        read_looks([{"seeds": seeds, "level": level} for seeds, level in listed])
