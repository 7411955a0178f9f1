"""Rules between options: names of variants, batches and workers, samplers and ranges."""

from __future__ import annotations

from collections.abc import Sequence

from contract.parameters import PARAMETERS
from contract.space import Varied
from contract.variants import Variant
from trainables.errors import ConfigError
from trainables.settings.config import TrainingConfig


def check_variant_names(variants: Sequence[Variant]) -> None:
    """Refuse variants that a folder or a reader could not tell apart."""
    for what in ("name", "label"):
        names = [getattr(one, what) for one in variants]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"--models and --compare must give variants of different names, got "
                    f"{name!r} twice; change the {what} of a row"
                )


def check_batches(
    training: TrainingConfig, ends: Sequence[TrainingConfig], most_workers: int
) -> None:
    """Refuse batches of which a worker would get nothing, or too little to normalise by.

    Args:
        training: The study's settings.
        ends: The settings at the ends of what varies.
        most_workers: Workers of a trial at most.
    """
    smallest = min(one.batch_size for one in ends)
    if smallest < training.batch_size and smallest < most_workers:
        raise ConfigError(
            f"--workers must be at most the {smallest} patches of the smallest batch, of which "
            f"each takes one at least, got {most_workers}; raise batch_size or lower --workers"
        )
    smallest_px = PARAMETERS["patch_px"].lowest
    for one in ends:
        if one.batch_size < 2 * max(1, most_workers) and one.patch_px <= smallest_px:
            raise ConfigError(
                f"patch_px must be more than {smallest_px} where a worker takes one patch in a "
                f"step, got it with batch_size {one.batch_size}: the deepest stage would be "
                "one pixel, which batch normalisation refuses; raise either"
            )


def check_grid(sampler: str, searched: Sequence[Varied]) -> None:
    """Refuse a grid over a range."""
    ranges = [one.name for one in searched if one.levels is None]
    if sampler == "grid" and ranges:
        raise ConfigError(
            f"--sampler grid must have levels for every searched parameter, got a range for "
            f"{', '.join(ranges)}; write --space {ranges[0]}=A/B/C"
        )
