"""Scales of training: the values a study has where a person gives none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from trainables.settings.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A scale of training."""

    training: TrainingConfig
    trials: int
    """Search trials per arm."""
    seeds: int
    """Confirmation repeats per arm; with 8 a difference at a single fraction can be shown, see
    `contract.protocol.power`."""


_SMALL: Final = TrainingConfig(
    width=8,
    downsample=2,
    patch_px=96,
    sampling="random",
    augment=True,
    batch_size=8,
    steps=2000,
    epochs=None,
    lr=5e-3,
    schedule="cosine",
    warmup_steps=100,
    ema_decay=0.99,
    num_validations=12,
    infer_window_px=256,
    infer_step_px=192,
)
"""A small network for a CPU; docs/performance.md has how its steps and patches were chosen."""
_DEMO: Final = replace(
    _SMALL,
    downsample=4,
    patch_px=64,
    batch_size=3,
    steps=250,
    lr=1e-2,
    warmup_steps=10,
    ema_decay=0.9,
    class_weights="sqrt_inverse",
    num_validations=8,
    infer_window_px=288,
    infer_step_px=288,
)
"""Windows hold a whole built-in tile, so that no pixel is inferred twice."""
_SMOKE: Final = replace(
    _SMALL,
    downsample=8,
    patch_px=32,
    steps=30,
    lr=1e-2,
    warmup_steps=2,
    ema_decay=0.0,
    num_validations=3,
)

PRESETS: Final[Mapping[str, Preset]] = {
    "smoke": Preset(training=_SMOKE, trials=2, seeds=2),
    "demo": Preset(training=_DEMO, trials=2, seeds=2),
    "compact": Preset(training=_SMALL, trials=6, seeds=8),
    "paper": Preset(training=TrainingConfig(), trials=10, seeds=8),
}
