"""From a model's name to a model with reproducible weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.networks.unet import UNet
from trainables.networks.urec import UREC

MODELS: Final[Mapping[str, Callable[[int, int, tuple[int, ...]], nn.Module]]] = {
    "unet": UNet,
    "urec": UREC,
}
"""Every model by name; each is called with num_channels, num_classes and widths."""

WIDTH_FACTORS: Final = (1, 2, 4, 8, 16)
"""Channels of the five encoder stages, in units of `width`."""


def build_model(
    name: str,
    num_channels: int = 3,
    num_classes: int = 6,
    width: int = 32,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a model on the CPU, in training mode, with weights drawn from a generator.

    The same seed gives encoder, bottom and segmentation decoder of all models the same
    weights: these parts are drawn first and in the same order. The global generator is
    neither read nor advanced.

    Args:
        name: A key of `MODELS`.
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        width: Channels of the finest stage; 32 as published.
        generator: Source of the weights, on the CPU; None for a fresh one with seed 0.

    Returns:
        The model, float32; its `segment(images)` gives logits (N, K, H, W).

    Raises:
        ConfigError: If the name is unknown or a size is not positive.
    """
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got {name!r}")
    sizes = {"num_channels": num_channels, "num_classes": num_classes, "width": width}
    for size_name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{size_name} must be a positive integer, got {size!r}")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
        model = MODELS[name](num_channels, num_classes, tuple(width * f for f in WIDTH_FACTORS))
    model.to_empty(device="cpu")
    initialise_weights(model, generator)
    return model


def initialise_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Set every weight, bias and running statistic as PyTorch's defaults would.

    Convolutions: weights and bias uniform in +-1 / sqrt(fan_in), which is `kaiming_uniform_`
    with a = sqrt(5). Batch normalisation: scale 1, shift 0, mean 0, variance 1.

    Args:
        model: Changed in place; its layers are taken in the order they were registered.
        generator: On the device of the model.

    Raises:
        TypeError: If a layer with weights is neither a Conv2d nor a BatchNorm2d.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif next(module.parameters(recurse=False), None) is not None:
            raise TypeError(
                f"layers with weights must be Conv2d or BatchNorm2d, got {type(module).__name__}; "
                "give it an initialisation in `initialise_weights`"
            )
