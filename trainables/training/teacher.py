"""The teacher of methods with pseudo-labels: a network whose weights follow those of the student.

It is in evaluation mode throughout, so what it says of a patch depends on no other patch. Its
running statistics are averages of the student's as its weights are, and so belong to them: copies
would be those of other weights. Both is what Cai et al. (2021) found best, for FixMatch too.
"""

from __future__ import annotations

import copy

import torch

from trainables.networks.network import Network


def new_teacher(student: Network) -> Network:
    """A copy of a network, in evaluation mode and without gradients."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def follow(teacher: Network, student: Network, decay: float, step: int) -> None:
    """Move a teacher's weights and statistics towards the student's; whole numbers are copied.

    Args:
        teacher: From `new_teacher`.
        student: After the step.
        decay: Share of its own weights that the teacher keeps; less in the first steps, as in Mean
            Teacher (Tarvainen and Valpola 2017), of which it keeps an even average.
        step: From 0; after the first the teacher is the student.
    """
    kept = min(1 - 1 / (step + 1), decay)
    pairs = [
        *zip(teacher.parameters(), student.parameters(), strict=True),
        *zip(teacher.buffers(), student.buffers(), strict=True),
    ]
    moved = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_([own for own, _ in moved], [other for _, other in moved], 1 - kept)
    for own, other in pairs:
        if not own.is_floating_point():
            own.copy_(other)
