"""Whether the product's steps give the losses of the reference's, apart from rounding.

A free run cannot tell: these networks are chaotic at the published learning rate. In float64 both
loops agree to 2e-16 at the first step, and from there the difference grows about fourfold per
step; in float32 the reference in another memory layout leaves itself just as fast. So besides the
free runs, the reference goes on from the product's weights and moments at every step, and two of
its losses are compared: one before any update of its own, one after.
"""

from __future__ import annotations

from collections.abc import Sequence

from blob_trials import enter_trial_process
from training_candidates import Product, Reference, Setting

LOSS_GOAL = 1e-4
"""The largest relative difference there should be."""


def compare_losses(
    setting: Setting, num_steps: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Train both in fp32 over the same patches.

    Args:
        setting: What is trained.
        num_steps: Of the product.

    Returns:
        The losses of the runs, and the largest relative differences, by what was compared.
    """
    enter_trial_process(setting.num_threads)
    steps = range(num_steps)
    free = Reference(setting, steps).losses(num_steps)
    other_layout = Reference(setting, steps, channels_last=True).losses(num_steps)
    pairs = Reference(setting, [one for step in steps for one in (step, step + 1)])
    product = Product(setting, "fp32")
    ours, before_update, after_update = [], [], []
    for _ in steps:
        pairs.take_over(product)
        before, after = pairs.losses(2)
        ours += product.losses(1)
        before_update.append(before)
        after_update.append(after)
    losses = {"product": ours, "reference": free, "reference, channels-last": other_layout}
    return losses, {
        "product / reference, each step from the same state": _largest(ours, before_update),
        "product / reference, one update after the same state": _largest(
            ours[1:], after_update[:-1]
        ),
        "product / reference, free runs": _largest(ours, free),
        "reference in channels-last / reference, free runs (rounding alone)": _largest(
            other_layout, free
        ),
    }


def _largest(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Largest relative difference."""
    return max(abs(one / other - 1) for one, other in zip(ours, theirs, strict=True))
