"""A trained network in one self-contained file: weights, classes, and how its input is read."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from contract.names import MODEL_FILE
from contract.parameters import Value
from trainables.data.layouts.spec import IGNORE_INDEX, ClassSpec
from trainables.data.tilesets.scaling import BandScaling
from trainables.errors import DataError
from trainables.networks.build import ENCODER_NETWORKS, NETWORKS, build_network
from trainables.networks.network import Network, PretrainedEncoder
from trainables.networks.own_network import is_own
from trainables.settings.config import TrialConfig, network_parameters
from trainables.storage.atomic_files import write_atomically

_FORMAT: Final = "urec-study model"
_VERSION: Final = 5
_READ: Final = (2, 3, 4, _VERSION)
"""Versions that can be read; 3 added `nodata`, 4 `method_parameters` and networks of one's own, 5
encoders."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """A trained network and everything needed to apply it; checked when built.

    Raises:
        DataError: If a field breaks its rule.
    """

    network: str
    """A key of `NETWORKS` or `ENCODER_NETWORKS`, or `package.module:factory`."""
    width: int
    """Channels of the first encoder stage."""
    method_parameters: Mapping[str, Value] = field(default_factory=dict)
    """Values that the network was built from and that the method alone has, by name."""
    encoder: PretrainedEncoder | None = None
    """What the network's encoder is, for `ENCODER_NETWORKS`; its weights are in `state`."""
    bands: tuple[str, ...]
    """Bands of the images it was trained on, in their order (C)."""
    classes: tuple[ClassSpec, ...]
    """Name and RGB colour of every class (K); the position is the index in class maps."""
    downsample: int
    """Block size d: tiles were reduced to the means of d x d blocks when read."""
    window_px: int
    """Side of the windows it was validated and tested with, in pixels after reduction."""
    step_px: int
    """Step of those windows, at most window_px."""
    scaling: BandScaling
    """Type of the images, and from their values to the network's input."""
    nodata: tuple[float | None, ...] = ()
    """Value of each band (C) that means no data besides what files say; none at all for ()."""
    trial_key: str
    """The trial that trained it, `confirm-urec-f0.10-s2`."""
    study: str | None = None
    """The study of that trial, where it is known."""
    state: Mapping[str, Tensor]
    """State dict of the network, on the CPU."""

    def __post_init__(self) -> None:
        """Check every field that could make a wrong prediction pass for a right one."""
        colors = [level for one in self.classes for level in one.color]
        rules = {
            "network": (
                self.network in (*NETWORKS, *ENCODER_NETWORKS) or is_own(self.network),
                f"one of {', '.join((*NETWORKS, *ENCODER_NETWORKS))} or package.module:factory",
            ),
            "encoder": (
                (self.encoder is not None) == (self.network in ENCODER_NETWORKS),
                f"given for {' and '.join(ENCODER_NETWORKS)}, and for these alone",
            ),
            "width": (_is_positive(self.width), "a positive integer"),
            "method_parameters": (isinstance(self.method_parameters, dict), "values by name"),
            "downsample": (_is_positive(self.downsample), "a positive integer"),
            "window_px": (_is_positive(self.window_px), "a positive integer"),
            "step_px": (
                _is_positive(self.step_px) and self.step_px <= self.window_px,
                f"in 1 ... window_px ({self.window_px})",
            ),
            "bands": (len(self.bands) > 0, "one name or more"),
            "classes": (
                2 <= len(self.classes) < IGNORE_INDEX
                and len(colors) == 3 * len(self.classes)
                and all(0 <= level <= 255 for level in colors),
                f"2 to {IGNORE_INDEX - 1}, each with an RGB colour of 0-255",
            ),
            "nodata": (
                len(self.nodata) in (0, len(self.bands)),
                f"one value for each of the {len(self.bands)} bands",
            ),
            "scaling": (
                len(self.scaling.low) == len(self.bands),
                f"of the {len(self.bands)} bands",
            ),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise DataError(f"{name} must be {rule}, got {getattr(self, name)!r}")
        if broken := [name for name, value in self.state.items() if not value.isfinite().all()]:
            raise DataError(f"weights must be finite, got NaN or infinity in {broken[0]}")

    @classmethod
    def from_trial(
        cls,
        model: Network,
        trial: TrialConfig,
        *,
        classes: Sequence[ClassSpec],
        bands: Sequence[str],
        scaling: BandScaling,
        nodata: Sequence[float | None] = (),
        encoder: PretrainedEncoder | None = None,
        study: str | None = None,
    ) -> TrainedModel:
        """What a finished trial leaves.

        Args:
            model: The trained network, on any device.
            trial: What trained it.
            classes: Name and colour of every class.
            bands: Names of the bands of the images.
            scaling: What the network was fed with: type and scaling of the images.
            nodata: Values of the bands that dataset.yaml says mean no data.
            encoder: What the network was built on, where its encoder is a pretrained one.
            study: Name of the study.
        """
        training = trial.training
        return cls(
            network=trial.network,
            width=training.width,
            method_parameters=network_parameters(trial.network, training),
            encoder=encoder,
            bands=tuple(bands),
            classes=tuple(ClassSpec(name=one.name, color=one.color) for one in classes),
            downsample=training.downsample,
            window_px=training.infer_window_px,
            step_px=training.infer_step_px,
            scaling=scaling,
            nodata=tuple(nodata),
            trial_key=trial.key,
            study=study,
            state={name: value.detach().cpu() for name, value in model.state_dict().items()},
        )

    def build(self) -> Network:
        """The network with its weights, float32, on the CPU, in evaluation mode.

        The module of a network of one's own is imported by its name, and so its code runs.

        Raises:
            DataError: If the weights are not those of such a network.
            ConfigError: If a network of one's own cannot be imported or built, or an encoder is
                wanted and transformers is not installed.
        """
        model = build_network(
            self.network,
            len(self.bands),
            len(self.classes),
            width=self.width,
            parameters=self.method_parameters,
            encoder=self.encoder,
        )
        try:
            model.load_state_dict(self.state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"weights must be those of a {self.network} of width {self.width} for "
                f"{len(self.bands)} bands and {len(self.classes)} classes, got: {reason[:200]}"
            ) from None
        return model.eval()

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: If the folder cannot be written or the disk is full.
        """
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["classes"] = [(one.name, tuple(one.color)) for one in self.classes]
        plain["scaling"] = self.scaling.to_plain()
        plain["encoder"] = None if self.encoder is None else self.encoder.to_plain()
        plain["state"] = dict(self.state)
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "version": _VERSION, **plain}, buffer)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> TrainedModel:
        """Read a file that `save` wrote.

        Only tensors and plain values are unpickled: a file from elsewhere runs no code before its
        network is built.

        Raises:
            DataError: If there is no such file, or it is none of these or of a newer version.
        """
        content = _read(path)
        try:
            classes = tuple(
                ClassSpec(name=str(name), color=(int(color[0]), int(color[1]), int(color[2])))
                for name, color in content.pop("classes")
            )
            scaling = BandScaling.from_plain(content.pop("scaling"))
            nodata = tuple(content.pop("nodata", ()))  # earlier files have none
            held = content.pop("encoder", None)
            encoder = None if held is None else PretrainedEncoder.from_plain(held)
            return cls(classes=classes, scaling=scaling, nodata=nodata, encoder=encoder, **content)
        except DataError as error:
            raise DataError(f"{error} in {path}; take another model file") from None
        except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"model file must hold the fields of a trained model, got: {reason} in {path}; "
                "take another one"
            ) from None


def _read(path: Path) -> dict[str, Any]:
    """Content of a model file without its format and version."""
    advice = f"in {path}; give a {MODEL_FILE} as a confirmation trial leaves it"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"model file must be readable, got: {error.strerror} {advice}") from None
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise DataError(f"model file must be a trained model, got another file {advice}") from None
    if not isinstance(content, dict) or content.pop("format", None) != _FORMAT:
        raise DataError(f"model file must be a trained model, got other content {advice}")
    version = content.pop("version", None)
    if version not in _READ:
        versions = " or ".join(map(str, _READ))
        raise DataError(
            f"model file must be of version {versions}, got {version!r} in {path}; use the release "
            "that wrote it"
        )
    return content


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
