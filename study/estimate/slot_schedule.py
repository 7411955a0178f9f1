"""When the last trial of a study ends, where trials wait for slots and for their arm's search."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ArmWork:
    """The trials of one arm."""

    num_search: int
    search_s: float
    num_confirm: int
    confirm_s: float


def schedule_s(arms: Sequence[ArmWork], concurrent: int) -> float:
    """When the last trial ends, served as the study's searcher serves them.

    A free slot takes the next trial of the first arm that has one; an arm is confirmed once all
    its search trials have ended.

    Args:
        arms: In the order in which they are served.
        concurrent: Slots.
    """
    to_search = [arm.num_search for arm in arms]
    unsearched = list(to_search)
    to_confirm = [arm.num_confirm for arm in arms]
    running: list[tuple[float, int, bool]] = []  # end, arm, whether it is a search trial
    now = 0.0

    def fill() -> None:
        for index, arm in enumerate(arms):
            while len(running) < concurrent and to_search[index]:
                to_search[index] -= 1
                heapq.heappush(running, (now + arm.search_s, index, True))
            while len(running) < concurrent and to_confirm[index] and not unsearched[index]:
                to_confirm[index] -= 1
                heapq.heappush(running, (now + arm.confirm_s, index, False))

    fill()
    while running:
        now, index, searched = heapq.heappop(running)
        unsearched[index] -= searched
        fill()
    return now
