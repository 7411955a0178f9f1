"""A method as a person would bring one: a network with two decoders and parameters of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract.methods import Method
from contract.parameters import Parameter

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class Pyramid(nn.Module):
    """Convolutions at full, half, quarter … size; their sum gives classes and the image again."""

    def __init__(self, num_channels: int, num_classes: int, depth: int, activation: str) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(num_channels, 8, 3, padding=1), ACTIVATIONS[activation]())
            for _ in range(depth)
        )
        self.classes = nn.Conv2d(8, num_classes, 1)
        self.image = nn.Conv2d(8, num_channels, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = images.shape[-2:]
        total = torch.zeros(len(images), 8, *size)
        for number, level in enumerate(self.levels):
            small = F.avg_pool2d(images, 2**number)
            total = total + F.interpolate(level(small), size=size)
        return self.classes(total), self.image(total)


def build(num_channels: int, num_classes: int, depth: int = 2, activation: str = "relu") -> Pyramid:
    """The network for images of so many bands and classes."""
    return Pyramid(num_channels, num_classes, depth, activation)


METHOD = Method(
    name="pyramid",
    label="Pyramid",
    network="pyramid:build",
    unannotated="reconstruction",
    parameters=(
        Parameter(
            name="depth",
            label="levels of the pyramid",
            kind="integer",
            lowest=1,
            low=1,
            high=3,
            default=2,
        ),
        Parameter(
            name="activation",
            label="activation",
            kind="choice",
            choices=("relu", "gelu"),
            levels=("relu", "gelu"),
            default="relu",
        ),
    ),
)
