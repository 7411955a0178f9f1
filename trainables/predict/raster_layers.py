"""What each output file holds, and how its values come from those of the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.networks.model_file import TrainedModel
from trainables.predict.raster_output import OutputFile


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One output file of a raster."""

    content: OutputFile
    fill: float
    """Value of pixels that the input does not show."""
    values: Callable[[Tensor], Tensor]
    """It turns blended outputs (M, h, W) into the bands of the file (B, h, W)."""


def class_layer(trained: TrainedModel) -> Layer:
    """The class with the highest logit; colours and names are those of the training."""
    num_classes = len(trained.classes)
    content = OutputFile(
        dtype="uint8",
        band_names=("class",),
        nodata=IGNORE_INDEX,
        overviews="mode",
        colors={index: one.color for index, one in enumerate(trained.classes)},
        tags=_tags(trained),
        band_tags={f"CLASS_{index}": one.name for index, one in enumerate(trained.classes)},
    )
    return Layer(
        content=content,
        fill=IGNORE_INDEX,
        values=lambda outputs: (
            outputs[:num_classes].max(dim=0, keepdim=True).indices.to(torch.uint8)
        ),
    )


def probability_layer(trained: TrainedModel) -> Layer:
    """The softmax of the blended logits, one band per class, in [0, 1]."""
    num_classes = len(trained.classes)
    content = OutputFile(
        dtype="float32",
        band_names=tuple(one.name for one in trained.classes),
        nodata=float("nan"),
        overviews="average",
        tags=_tags(trained),
    )
    return Layer(
        content=content,
        fill=float("nan"),
        values=lambda outputs: outputs[:num_classes].softmax(dim=0),
    )


def confidence_layer(trained: TrainedModel) -> Layer:
    """The probability of the class with the highest logit, in [0, 1]."""
    num_classes = len(trained.classes)
    content = OutputFile(
        dtype="float32",
        band_names=("confidence",),
        nodata=float("nan"),
        overviews="average",
        tags=_tags(trained),
    )
    return Layer(
        content=content,
        fill=float("nan"),
        values=lambda outputs: outputs[:num_classes].softmax(dim=0).amax(dim=0, keepdim=True),
    )


def reconstruction_layer(trained: TrainedModel, nodata: float | None) -> Layer:
    """The reconstruction, in units and type of the input.

    Args:
        trained: The model.
        nodata: Nodata value of the input. Hidden pixels get it if the type can hold it; otherwise
            they get 0 in an output of whole numbers, without nodata value, and NaN in one of
            float32.
    """
    dtype = trained.scaling.dtype
    if not _holds(dtype, nodata):
        nodata = float("nan") if dtype == "float32" else None
    content = OutputFile(
        dtype=dtype,
        band_names=trained.bands,
        nodata=nodata,
        overviews="average",
        tags=_tags(trained),
    )
    return Layer(
        content=content,
        fill=0 if nodata is None else nodata,
        values=lambda outputs: trained.scaling.to_stored(outputs[len(trained.classes) :]),
    )


def _holds(dtype: str, nodata: float | None) -> bool:
    """Whether pixels of a type can have this nodata value."""
    if nodata is None:
        return False
    if dtype == "float32":
        return math.isnan(nodata) or abs(nodata) <= float(np.finfo(np.float32).max)
    limits = np.iinfo(dtype)
    return math.isfinite(nodata) and nodata == int(nodata) and limits.min <= nodata <= limits.max


def _tags(trained: TrainedModel) -> dict[str, str]:
    """Tags that say which model a result comes from."""
    tags = {"MODEL_NETWORK": trained.network, "MODEL_TRIAL": trained.trial_key}
    return tags | ({"MODEL_STUDY": trained.study} if trained.study else {})
