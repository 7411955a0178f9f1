"""A network of one's own: imported by name, and wrapped so that it is like any other here."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from trainables.errors import ConfigError
from trainables.networks.layers.blocks import crop_to, first_of, pad_to_stride
from trainables.networks.network import Network, NetworkConfig, Output, first_images

_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_PROBE_PX: Final = 64


def is_own(name: str) -> bool:
    """Whether a text has the form `package.module:name`."""
    return _NAME.fullmatch(name) is not None


def import_own(name: str) -> Any:
    """Import what `package.module:name` says.

    Raises:
        ConfigError: If the module cannot be imported or has no such name.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        advice = "mend it, or install what it needs"
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            advice = f"put the folder that holds {missing} on PYTHONPATH"
        raise ConfigError(
            f"network must be in a module that can be imported, got {name!r}: {one_line(error)}; "
            f"{advice}"
        ) from error
    if not hasattr(module, attribute):
        public = ", ".join(one for one in vars(module) if not one.startswith("_"))
        raise ConfigError(
            f"network must be a name of {module_name} ({public}), got {attribute!r} in {name!r}"
        )
    return getattr(module, attribute)


def own_builder(name: str) -> Callable[[int, int, NetworkConfig], Network]:
    """The builder of the network that `package.module:factory` makes.

    The factory is called with `num_channels` and `num_classes` and, where its signature names
    them, with `width` and the values of the method's parameters.

    Raises:
        ConfigError: If it cannot be imported or called; the builder raises it if the factory
            raises, or makes something that is no network.
    """
    factory = import_own(name)
    if not callable(factory):
        raise ConfigError(
            f"network must be a function or class, got {factory!r} as {name!r}; name what builds "
            "the network"
        )

    def build(num_channels: int, num_classes: int, config: NetworkConfig) -> Network:
        offered = {"width": config.width, **config.parameters}
        taken = {key: value for key, value in offered.items() if takes(factory, key)}
        shown = "".join(f", {key}={value!r}" for key, value in taken.items())
        with errors_in_one_line(
            f"{name} must build a network from num_channels={num_channels}, "
            f"num_classes={num_classes}{shown}"
        ):
            made = factory(num_channels=num_channels, num_classes=num_classes, **taken)
        if not isinstance(made, nn.Module):
            raise ConfigError(
                f"{name} must return a torch.nn.Module, got {type(made).__name__}; return the "
                "network"
            )
        return _wrap(name, made.to("cpu"), num_channels)

    return build


def takes(factory: Callable[..., Any], parameter: str) -> bool:
    """Whether the signature of a factory names a parameter."""
    try:
        return parameter in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # compiled code has no signature
        return False


class OwnNetwork(Network):
    """A module whose forward gives logits, for images of any size."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Class scores; see `Network.forward`."""
        images = first_images(images, num_segment)
        padded = pad_to_stride(images)
        logits = self.own(padded)
        if not isinstance(logits, Tensor):  # outputs of several depths, say, in training alone
            raise TypeError(
                f"forward must give in training what it gives otherwise, one tensor, got "
                f"{type(logits).__name__}"
            )
        return Output(_cropped(logits, padded, images), None)


class OwnReconstructingNetwork(OwnNetwork):
    """A module whose forward gives logits and a reconstruction, for images of any size."""

    has_reconstruction = True

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Both branches, computed for all images of the batch; see `Network.forward`."""
        num_segment = len(first_images(images, num_segment))
        padded = pad_to_stride(images)
        logits, reconstruction = self.own(padded)
        logits = _cropped(first_of(logits, num_segment), padded, images)
        return Output(logits, _cropped(reconstruction, padded, images))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruction (N, C, H, W) of images (N, C, H, W) in [0, 1]."""
        output: Output = self(images)
        assert output.reconstruction is not None
        return output.reconstruction


@contextmanager
def errors_in_one_line(rule: str, advice: str = "mend the network") -> Iterator[None]:
    """Turn whatever somebody else's code raises into a line that says which rule it broke.

    Args:
        rule: What the code inside must do.
        advice: What to do where it does not.

    Raises:
        ConfigError: If the code inside raises an exception.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{rule}, got {one_line(error)}; {advice}") from error


def one_line(error: BaseException) -> str:
    """The kind and the text of an exception."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _cropped(x: Tensor, padded: Tensor, images: Tensor) -> Tensor:
    """An output for padded images, cut to the size of the images; another size is refused."""
    if x.shape[-2:] != padded.shape[-2:]:
        raise ValueError(
            f"outputs must have the height and width of the images {tuple(padded.shape[-2:])}, got "
            f"{tuple(x.shape)}; resize them in forward"
        )
    return crop_to(x, images)


def _wrap(name: str, own: nn.Module, num_channels: int) -> Network:
    """The network around a module, by what its forward gives in evaluation mode."""
    own.eval()
    with torch.no_grad(), errors_in_one_line(f"{name} must take images (N, {num_channels}, H, W)"):
        given = own(torch.zeros(1, num_channels, _PROBE_PX, _PROBE_PX))
    if isinstance(given, Tensor):
        return OwnNetwork(own)
    if isinstance(given, tuple | list) and [isinstance(one, Tensor) for one in given] == [True] * 2:
        return OwnReconstructingNetwork(own)
    raise ConfigError(
        f"{name} must give logits, or logits and a reconstruction, got {type(given).__name__} from "
        "its forward; return one tensor or two"
    )
