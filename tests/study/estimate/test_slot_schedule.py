"""When the last trial of a study ends."""

import pytest

from study.estimate.slot_schedule import ArmWork, schedule_s


def work(num_search, search_s, num_confirm, confirm_s):
    return ArmWork(
        num_search=num_search, search_s=search_s, num_confirm=num_confirm, confirm_s=confirm_s
    )


def test_one_slot_takes_the_sum():
    arms = [work(2, 3.0, 4, 5.0), work(1, 7.0, 2, 11.0)]
    assert schedule_s(arms, 1) == 2 * 3 + 4 * 5 + 7 + 2 * 11


def test_enough_slots_take_the_longest_arm():
    assert schedule_s([work(3, 2.0, 5, 10.0), work(1, 4.0, 5, 9.0)], 100) == 4 + 9


def test_full_slots_take_the_share_of_each():
    assert schedule_s([work(4, 3.0, 8, 5.0)], 2) == (4 * 3 + 8 * 5) / 2


def test_confirmation_waits_for_every_search_trial_of_its_arm():
    # Of three searches on two slots the last one runs alone.
    assert schedule_s([work(3, 2.0, 2, 1.0)], 2) == 2 + 2 + 1


def test_a_waiting_arm_leaves_its_slot_to_the_next():
    # 0-4 search of the first beside 0-1 and 1-2 of the second and its confirmation from 2 on.
    arms = [work(1, 4.0, 2, 3.0), work(2, 1.0, 1, 2.0)]
    assert schedule_s(arms, 2) == 4 + 3


def test_the_last_trial_may_run_alone():
    assert schedule_s([work(1, 1.0, 3, 10.0)], 2) == 1 + 10 + 10


@pytest.mark.parametrize("arms", [[], [work(0, 1.0, 0, 1.0)]])
def test_nothing_takes_no_time(arms):
    assert schedule_s(arms, 3) == 0
