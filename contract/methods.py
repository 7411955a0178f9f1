"""What can be compared: each method's network, and what it does with unannotated pixels.

A row here and, for a new network, one file in `trainables/networks/` are a new method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.names import TAKEN_NAMES
from contract.parameters import PARAMETERS, Parameter

BUILT_FROM: Final[Mapping[str, tuple[str, ...]]] = {
    "urec": ("branch_norm", "rec_decoder"),
    "encoder-unet": ("encoder_weights", "encoder_lr"),
    "encoder-urec": ("rec_decoder", "encoder_weights", "encoder_lr"),
}
"""Rows of `contract.parameters` that a network is built from, by its key."""
WITH_ENCODER: Final[Mapping[str, str]] = {"unet": "encoder-unet", "urec": "encoder-urec"}
"""The network that takes the place of another one where a pretrained encoder is named."""


def serves(parameter: Parameter, unannotated: str, network: str) -> bool:
    """Whether methods with this use of unannotated pixels and this network have a row."""
    is_built = not parameter.of_network or parameter.name in BUILT_FROM.get(network, ())
    return is_built and parameter.serves(unannotated)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A network and what it does with pixels that are not annotated."""

    name: str
    """Unique in a study, and the begin of the names of its arms: letters, digits, `-`, `_`."""
    label: str
    """The name that a reader sees."""
    network: str
    """A key of `trainables.networks.build.NETWORKS`, or `package.module:factory`."""
    unannotated: str = "nothing"
    """A key of `trainables.methods.METHODS`: what it does with unannotated pixels."""
    is_baseline: bool = False
    """Whether the others are compared with it."""
    published_table: int | None = None
    """The table of the paper (Papadomanolaki et al., 2019) that holds its scores."""
    encoder: str | None = None
    """A model of Hugging Face's hub, or a folder with one: what the network's encoder is. Given for
    the networks that `WITH_ENCODER` has, and for none else."""
    parameters: tuple[Parameter, ...] = ()
    """What only this method has, besides the rows of `contract.parameters`; each with a default."""

    def __post_init__(self) -> None:
        """Refuse parameters that a trial could not be given; raise ValueError."""
        for one in self.parameters:
            if one.name in PARAMETERS or one.name in TAKEN_NAMES:
                raise ValueError(
                    f"parameter of {self.name} must have a name of its own, got {one.name!r}; "
                    "rename it"
                )
            if one.default is None or not one.holds(one.default):
                raise ValueError(
                    f"default of {one.name} must be {one.rule}, got {one.default!r} in {self.name}"
                )

    @property
    def reconstructs(self) -> bool:
        """Whether pixels are reconstructed: whether there is a weight of their reconstruction."""
        return PARAMETERS["w1"].serves(self.unannotated)

    @property
    def labels(self) -> bool:
        """Whether a teacher labels pixels: whether there is a weight of such pseudo-labels."""
        return PARAMETERS["pseudo_weight"].serves(self.unannotated)

    def has(self, parameter: Parameter) -> bool:
        """Whether the parameter changes anything of this method."""
        if parameter in self.parameters:
            return True
        if PARAMETERS.get(parameter.name) != parameter:  # another method's own
            return False
        return serves(parameter, self.unannotated, self.network)


METHODS: Final = {
    method.name: method
    for method in (
        Method(
            name="urec",
            label="U-REC",
            network="urec",
            unannotated="reconstruction",
            published_table=2,
        ),
        Method(name="unet", label="U-Net", network="unet", is_baseline=True, published_table=1),
        Method(name="fixmatch", label="FixMatch", network="unet", unannotated="pseudo-labels"),
        Method(
            name="fixmatch-urec",
            label="FixMatch + U-REC",
            network="urec",
            unannotated="reconstruction-and-pseudo-labels",
        ),
    )
}
"""In the order in which messages list them."""

COMPARED_BY_DEFAULT: Final = tuple(
    method.name for method in METHODS.values() if method.published_table is not None
)
"""Those of the paper, which a study compares where nobody gives `--models`."""
