"""Methods with a pretrained encoder, as `--models` names them: `METHOD:ENCODER`."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from contract.methods import METHODS, WITH_ENCODER, Method
from trainables.networks.own_network import is_own


def encoder_method(text: str, num_words: int = 1) -> Method | None:
    """The method that `METHOD:ENCODER` names; None where the text names something else.

    METHOD is a row of `contract.methods` whose network can have another encoder, ENCODER a model of
    Hugging Face's hub or a folder. `METHOD:word` is a factory if a module of METHOD's name can be
    imported; `METHOD:./word` is always a folder.

    Args:
        text: What `--models` says.
        num_words: Parts of the encoder's path, from the last, that name the method.
    """
    base_name, _, encoder = text.partition(":")
    base = METHODS.get(base_name)
    if base is None or base.network not in WITH_ENCODER or not encoder:
        return None
    if is_own(text) and find_spec(base_name) is not None:
        return None
    words = _words(encoder)[-num_words:]
    name = "-".join(re.sub(r"[^A-Za-z0-9_-]", "-", word) for word in words)
    return Method(
        name=f"{base.name}-{name}",
        label=f"{base.label}, {'/'.join(words)}",
        network=WITH_ENCODER[base.network],
        unannotated=base.unannotated,
        is_baseline=base.is_baseline,
        encoder=encoder,
    )


def encoder_folder(encoder: str) -> Path | None:
    """The folder that an encoder's name means; None for a model of the hub."""
    folder = Path(encoder).expanduser()
    return folder if folder.is_dir() else None


def _words(encoder: str) -> list[str]:
    folder = encoder_folder(encoder)
    if folder is None:
        return [word for word in encoder.split("/") if word]
    return [word for word in folder.resolve().parts if word != "/"]
