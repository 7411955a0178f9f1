"""What every network offers: logits, and a reconstruction where it has a second branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from contract.parameters import Value


class Output(NamedTuple):
    """What one forward pass of a network gives."""

    logits: Tensor
    """Class scores of the segmented images, (num_segment, K, H, W)."""
    reconstruction: Tensor | None
    """All images, reconstructed, (N, C, H, W); linear, so values may leave [0, 1]. None where the
    network has no such branch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedEncoder:
    """An encoder as a folder or the hub has it: plain values and tensors, alike everywhere."""

    source: str
    """Where it is from, as `--models` names it."""
    config: str
    """Its configuration, in the JSON of transformers; it names the stages that are used."""
    channels: tuple[int, ...]
    """Channels of these stages, finest first."""
    strides: tuple[int, ...]
    """Pixels of the image to one of each stage; all the same where the encoder has one scale."""
    mean: tuple[float, ...]
    """What it was trained with subtracted from each of its bands, values being in [0, 1]."""
    std: tuple[float, ...]
    """What each was then divided by."""
    unused: tuple[str, ...]
    """Its parameters that none of the stages depends on; they are not trained."""
    checksum: str
    """SHA-256 of its configuration, of these means and deviations and of its weights."""
    state: Mapping[str, Tensor] | None
    """Its weights; None where those of the whole network are at hand, in a model file."""

    def to_plain(self) -> dict[str, Any]:
        """Plain data without the weights, for a model file."""
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), tuple) else value
            for one in fields(self)
            if one.name != "state"
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PretrainedEncoder:
        """Inverse of `to_plain`.

        Raises:
            TypeError: If a field is missing or unknown.
        """
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain.items()
        }
        return cls(**known, state=None)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What a network is built from, besides the numbers of bands and classes."""

    width: int = 32
    """Channels of the finest stage; 32 as published."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    """Values of the parameters that it is built from and that the method alone has, by name."""
    encoder: PretrainedEncoder | None = None
    """What its encoder is, where it has a pretrained one."""


class Network(nn.Module):
    """A network that segments; one with a second branch also has `reconstruct(images)`."""

    has_reconstruction: ClassVar[bool] = False
    """Whether `forward` gives a reconstruction, and `reconstruct` exists."""
    draws: ClassVar[bool] = True
    """Whether its layers may draw at random in training, as dropout does."""

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Segment the first images of a batch and, where it can, reconstruct all of them.

        Args:
            images: (N, C, H, W), float in [0, 1]; any height and width. Patches to segment come
                first, patches for the reconstruction term alone after them.
            num_segment: How many images to segment; None for all.

        Returns:
            Logits (num_segment, K, H, W) and reconstruction (N, C, H, W), or None.

        Raises:
            ValueError: If num_segment is not in 1 ... N.
        """
        raise NotImplementedError

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What an optimiser is given; a part that learns by a share of `lr` has its `lr_factor`."""
        return [{"params": list(self.parameters())}]

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W) in [0, 1]."""
        output: Output = self(images)
        return output.logits


class SegmentationOnly(nn.Module):
    """A network whose reconstruction is left out: what a method trains that needs logits alone."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Logits of the first images, as `Network.forward` gives them; no reconstruction."""
        return Output(self.network.segment(first_images(images, num_segment)), None)


def trained_part(network: Network, with_reconstruction: bool) -> nn.Module:
    """The network, or what computes its logits if it has a reconstruction that is not trained."""
    if with_reconstruction or not network.has_reconstruction:
        return network
    return SegmentationOnly(network)


def first_images(images: Tensor, num_segment: int | None) -> Tensor:
    """The images of a batch (N, ...) that are segmented; None for all.

    Raises:
        ValueError: If num_segment is not in 1 ... N.
    """
    if num_segment is None:
        return images
    if not 1 <= num_segment <= len(images):
        raise ValueError(
            f"num_segment must be in 1 ... {len(images)} (the batch), got {num_segment!r}; "
            "use `reconstruct` for a batch without annotations"
        )
    return images[:num_segment]
