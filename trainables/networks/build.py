"""Networks by name, built with reproducible weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch

from contract.parameters import Value
from trainables.errors import ConfigError
from trainables.networks.encoders.networks import EncoderUNet, EncoderUREC
from trainables.networks.network import Network, NetworkConfig, PretrainedEncoder
from trainables.networks.own_network import is_own, own_builder
from trainables.networks.unet import UNet
from trainables.networks.urec import UREC

NETWORKS: Final[Mapping[str, Callable[[int, int, NetworkConfig], Network]]] = {
    "unet": UNet,
    "urec": UREC,
}
"""Every network by name; each is called with num_channels, num_classes and its configuration."""
ENCODER_NETWORKS: Final[Mapping[str, Callable[[int, int, NetworkConfig], Network]]] = {
    "encoder-unet": EncoderUNet,
    "encoder-urec": EncoderUREC,
}
"""Those whose configuration must have a pretrained encoder."""


def build_network(
    name: str,
    num_channels: int = 3,
    num_classes: int = 6,
    *,
    width: int = 32,
    parameters: Mapping[str, Value] | None = None,
    encoder: PretrainedEncoder | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """Build a network on the CPU, in training mode, with weights drawn from a generator.

    The weights are those that the layers draw themselves, whatever layers they are: the global
    generator stands in for the given one meanwhile, and is then put back as it was. U-Net and
    U-REC register their common parts first and in the same order, so that one seed gives these
    parts the same weights in both.

    Args:
        name: A key of `NETWORKS` or `ENCODER_NETWORKS`, or `package.module:factory`.
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        width: Channels of the finest stage; 32 as published.
        parameters: Values that it is built from, by name; see
            `trainables.settings.config.network_parameters`.
        encoder: What its encoder is, for `ENCODER_NETWORKS`.
        generator: Source of the weights, on the CPU; it advances. None for a fresh one of seed 0.

    Returns:
        The network, float32.

    Raises:
        ConfigError: If the name is unknown, a size is not positive, an encoder is missing or cannot
            be used, or a network of one's own cannot be imported or built.
    """
    sizes = {"num_channels": num_channels, "num_classes": num_classes, "width": width}
    for size_name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{size_name} must be a positive integer, got {size!r}")
    if name in NETWORKS:
        builder = NETWORKS[name]
    elif name in ENCODER_NETWORKS:
        builder = ENCODER_NETWORKS[name]
    elif is_own(name):
        builder = own_builder(name)
    else:
        raise ConfigError(
            f"network must be one of {', '.join(NETWORKS)} or package.module:factory, got {name!r}"
        )
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    config = NetworkConfig(width=width, parameters=parameters or {}, encoder=encoder)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        network = builder(num_channels, num_classes, config)
        generator.set_state(torch.get_rng_state())
    return network.train()
