"""Methods with another network: found by name, and tried before the first trial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from contract.methods import METHODS as KNOWN
from contract.methods import Method
from trainables.data.patches.sampler import Batch
from trainables.data.patches.strong_views import StrongViews
from trainables.errors import ConfigError
from trainables.methods import METHODS
from trainables.networks.build import ENCODER_NETWORKS, NETWORKS, build_network
from trainables.networks.encoders.naming import encoder_method
from trainables.networks.encoders.reading import read_encoder
from trainables.networks.network import Network, Output, trained_part
from trainables.networks.own_network import errors_in_one_line, import_own, is_own, takes
from trainables.settings.config import TrainingConfig, network_parameters, training_fields
from trainables.settings.process_group import ALONE

_PROBE: Final = (3, 4)
"""Bands and classes with which a network is asked whether it reconstructs."""
_NUM_ANNOTATED: Final = 2
"""Batch normalisation wants more than one patch."""
_ALWAYS_GIVEN: Final = ("num_channels", "num_classes")
"""What every factory is called with."""


def find_method(text: str, num_words: int = 1) -> Method:
    """The method that `--models` names otherwise than as a row of this project.

    `METHOD:ENCODER` is the method of this project on a pretrained encoder.
    `package.module:factory` is a method of the factory's name, which reconstructs unannotated
    pixels if its network gives a reconstruction, and does nothing with them otherwise.
    `package.module:ROW` is a `contract.methods.Method`, which says more.

    Args:
        text: What `--models` says.
        num_words: Parts of an encoder's path, from the last, that name its method.

    Raises:
        ConfigError: If it cannot be imported or read, is none of these, or its network cannot be
            built.
    """
    with_encoder = encoder_method(text, num_words)
    if with_encoder is not None:
        read_encoder(str(with_encoder.encoder))
        return with_encoder
    if not is_own(text):
        raise ConfigError(
            f"--models must name {', '.join(KNOWN)}, METHOD:ENCODER or package.module:factory, got "
            f"{text!r}"
        )
    found = import_own(text)
    if not isinstance(found, Method):
        try:
            reconstructs = build_network(text, *_PROBE).has_reconstruction
        except ConfigError as error:
            raise ConfigError(
                f"{error} (tried with {_PROBE[0]} bands and {_PROBE[1]} classes; a network that "
                "takes other numbers alone needs a row, docs/networks.md)"
            ) from error
        module, _, label = text.partition(":")
        name = re.sub(r"[^A-Za-z0-9_-]", "-", label)
        if name.lower() in KNOWN:  # `mynets:unet` is not the U-Net of this project
            name = f"{module.rpartition('.')[2]}-{name}"
        return Method(
            name=name,
            label=label,
            network=text,
            unannotated="reconstruction" if reconstructs else "nothing",
        )
    _check_row(found, text)
    return found


def _check_row(method: Method, text: str) -> None:
    """Refuse a row that could not be trained, or whose parameters would change nothing."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", method.name) is None:
        raise ConfigError(
            f"name must be of letters, digits, - and _, got {method.name!r} in {text}"
        )
    if method.name in KNOWN:
        raise ConfigError(
            f"name must not be one of {', '.join(KNOWN)}, got {method.name!r} in {text}; choose "
            "another one"
        )
    if method.unannotated not in METHODS:
        raise ConfigError(
            f"unannotated must be one of {', '.join(METHODS)}, got {method.unannotated!r} in {text}"
        )
    for parameter in method.parameters:
        if parameter.name in (*training_fields(), *_ALWAYS_GIVEN):
            raise ConfigError(
                f"parameter must not be named as a setting of training, got {parameter.name!r} in "
                f"{text}; rename it"
            )
    if (method.encoder is not None) != (method.network in ENCODER_NETWORKS):
        raise ConfigError(
            f"encoder must be given for {' and '.join(ENCODER_NETWORKS)}, and for these alone, got "
            f"{method.encoder!r} for {method.network} in {text}"
        )
    if method.network in NETWORKS or method.encoder is not None:
        if method.parameters:
            raise ConfigError(
                f"parameters of {text} must be read by its network, got "
                f"{method.parameters[0].name!r} for {method.network}, which reads none; leave it "
                "out of the row"
            )
        encoder = None if method.encoder is None else read_encoder(method.encoder)
        network = build_network(method.network, *_PROBE, width=1, encoder=encoder)
        _check_branches(method, network)
        return
    if not is_own(method.network):
        raise ConfigError(
            f"network must be one of {', '.join(NETWORKS)} or package.module:factory, got "
            f"{method.network!r} in {text}"
        )
    factory = import_own(method.network)
    for parameter in method.parameters:
        if not takes(factory, parameter.name):
            raise ConfigError(
                f"{method.network} must name {parameter.name} in its signature, which {text} "
                "lists as a parameter of the method; add it, or leave it out of the row"
            )


def check_network(
    method: Method, training: TrainingConfig, num_channels: int, num_classes: int
) -> None:
    """Try a network of one's own, or an encoder, at the sizes of a study, before its first trial.

    It takes one step of two annotated patches and segments one window. Networks of this project
    have tests instead, and are passed over where their encoder is their own too.

    Args:
        method: With its network.
        training: For the sizes of patches and windows, the width and the method's parameters.
        num_channels: Bands of the images, C.
        num_classes: Classes, K.

    Raises:
        ConfigError: If it cannot be built or its weights do not follow from the seed; if an output
            has another shape or type than (N, K, H, W) or (N, C, H, W), float; if it gives no
            reconstruction, where the method needs one; if a parameter gets no gradient.
    """
    name = method.network
    if name in NETWORKS:
        return
    encoder = None if method.encoder is None else read_encoder(method.encoder)
    network, again, other = (
        build_network(
            name,
            num_channels,
            num_classes,
            width=training.width,
            parameters=network_parameters(name, training),
            encoder=encoder,
            generator=_generator(seed),
        )
        for seed in (0, 0, 1)
    )
    name = name if encoder is None else f"{name} with {encoder.source}"
    _check_weights(name, network.state_dict(), again.state_dict())
    objective = METHODS[method.unannotated]
    _check_branches(method, network)
    tried = replace(training, batch_size=_NUM_ANNOTATED)
    batch = _batch(
        num_channels,
        num_classes,
        training.patch_px,
        objective.num_anywhere(tried),
        objective.num_views(tried),
    )
    inputs = batch.inputs
    trained = trained_part(network, objective.needs_reconstruction)
    with (
        torch.random.fork_rng(devices=[]),
        errors_in_one_line(f"{name} must take patches {tuple(inputs.shape)} in training"),
    ):
        output: Output = trained(inputs, num_segment=batch.num_segmented)
        _check_output(name, output, inputs, batch.num_segmented, num_classes)
        terms = objective.terms(output.logits, output.reconstruction, batch, training, ALONE)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
    if trained is network and (dead := _without_gradient(network)):
        raise ConfigError(
            f"every parameter of {name} must get a gradient from the loss, got none for "
            f"{', '.join(dead)}; take layers that forward does not use out of the network, or set "
            "their requires_grad to False"
        )
    window = torch.rand(1, num_channels, *[training.infer_window_px] * 2, generator=_generator())
    with torch.no_grad(), errors_in_one_line(f"{name} must take a window {tuple(window.shape)}"):
        output = network.eval()(window)
        _check_output(name, output, window, 1, num_classes)
        other.load_state_dict(network.state_dict())
        if not torch.allclose(other.eval()(window).logits, output.logits, atol=1e-4):
            raise ConfigError(
                f"{name} must compute with its parameters and buffers alone, got other logits from "
                "the same weights; register what it draws when it is built as buffers"
            )


def _check_branches(method: Method, network: Network) -> None:
    """Refuse a network without the reconstruction that its method needs."""
    if METHODS[method.unannotated].needs_reconstruction and not network.has_reconstruction:
        raise ConfigError(
            f"{method.network} must give logits and a reconstruction, which {method.label} learns "
            "from unannotated pixels by, got logits alone; return both from its forward, or give "
            "it a row without `unannotated`"
        )


def _without_gradient(network: nn.Module) -> list[str]:
    """Names of the parameters that are to be trained and got no gradient."""
    return [
        name.removeprefix("own.")
        for name, one in network.named_parameters()
        if one.requires_grad and one.grad is None
    ]


def _check_weights(name: str, state: Mapping[str, Tensor], again: Mapping[str, Tensor]) -> None:
    """Refuse weights that no file could keep, and those that do not follow from the seed."""
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.is_complex() or not value.isfinite().all():
            raise ConfigError(
                f"weights and buffers of {name} must be finite real tensors, got another value in "
                f"{key.removeprefix('own.')}; register what is fixed with persistent=False"
            )
        other = again.get(key)
        if other is None or not torch.equal(value, other):
            raise ConfigError(
                f"weights of {name} must follow from the seed, got two values of "
                f"{key.removeprefix('own.')}; draw them with torch's generator alone"
            )


def _batch(
    num_channels: int, num_classes: int, side: int, num_anywhere: int, num_views: int
) -> Batch:
    """Two annotated patches, some from anywhere and some views, all of noise."""
    generator = _generator()
    num = _NUM_ANNOTATED + num_anywhere
    images = torch.rand(num, num_channels, side, side, generator=generator)
    masks = torch.randint(num_classes, (_NUM_ANNOTATED, side, side), generator=generator)
    shown = torch.ones_like(images[:, 0], dtype=torch.bool)
    if not num_views:
        return Batch(images=images, masks=masks, shown=shown)
    patches = torch.rand(num_views, num_channels, side, side, generator=generator)
    everywhere = torch.ones_like(patches[:, 0], dtype=torch.bool)
    views = StrongViews(patches=patches, images=patches, pasted=~everywhere, shown=everywhere)
    taught = torch.randn(num_views, num_classes, side, side, generator=generator)
    return Batch(images=images, masks=masks, shown=shown, views=views, taught=taught)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _check_output(
    name: str, output: Output, images: Tensor, num_segment: int, num_classes: int
) -> None:
    """Refuse outputs of another shape, type or number than what is computed with them."""
    size = tuple(images.shape[-2:])
    for what, given, shape in (
        ("logits", output.logits, (num_segment, num_classes, *size)),
        ("reconstruction", output.reconstruction, tuple(images.shape)),
    ):
        if given is not None and (tuple(given.shape) != shape or not given.is_floating_point()):
            raise ConfigError(
                f"{what} of {name} must be float {shape} for images {tuple(images.shape)}, got "
                f"{given.dtype} {tuple(given.shape)}"
            )
