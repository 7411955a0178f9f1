"""A trained network as MLflow loads and serves it: an image array in, a class map out.

MLflow imports this module by its name (`loader_module` of a `pyfunc` model), in environments that
have torch and numpy and no more: it must not import what reads files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.decoding.reduction import reduce_image
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.errors import DataError
from trainables.evaluation.windows import SlidingWindows, overlap_add
from trainables.networks.model_file import TrainedModel

_BATCH_PX: Final = 2**17
"""Pixels of a forward pass."""


class ServedModel:
    """What `mlflow.pyfunc.load_model` gives; it predicts as `trainables.predict` does."""

    def __init__(self, trained: TrainedModel) -> None:
        """Build the network, on the CPU."""
        self._trained = trained
        self._network = trained.build()

    def predict(self, image: NDArray[Any], params: Any = None) -> NDArray[np.uint8]:
        """Class of every pixel of an image.

        Args:
            image: (C, H, W), bands and type as in training (`signature` of the model).
            params: None; MLflow hands it over.

        Returns:
            Class indices (H, W), uint8; 255 where the image shows nothing: where its bands hold
            the value that `dataset.yaml` calls nodata, or a value is not finite.

        Raises:
            DataError: If the image is no such array, or the network gives no finite output.
        """
        trained = self._trained
        dtype, num_bands = trained.scaling.dtype, len(trained.bands)
        if image.ndim != 3 or image.shape[0] != num_bands or str(image.dtype) != dtype:
            raise DataError(
                f"image must be {dtype} of shape ({num_bands}, H, W), bands "
                f"{', '.join(trained.bands)}, got {image.dtype} {image.shape}"
            )
        if min(image.shape[1:]) < trained.downsample:
            raise DataError(
                f"image must be at least {trained.downsample} px high and wide, the downsample of "
                f"the model, got {image.shape[2]} x {image.shape[1]} px"
            )
        hidden = self._hidden(image)
        reduced, _ = reduce_image(np.where(hidden, 0, image), hidden, trained.downsample)
        classes = self._classes(reduced.astype(image.dtype, copy=False))
        full = _enlarged(classes, trained.downsample, image.shape[1:])
        full[hidden] = IGNORE_INDEX
        return full

    def _hidden(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Pixels without data (H, W), as `trainables.data.decoding.raster.ImageReader` finds them.

        Where all bands that have a nodata value hold it, for whole numbers; where any does, for
        float32; and where a value is not finite.
        """
        is_float = image.dtype.kind == "f"
        held = [
            np.isnan(band) if value != value else band == value
            for band, value in zip(image, self._trained.nodata or (None,) * len(image), strict=True)
            if value is not None
        ]
        hidden = np.zeros(image.shape[1:], dtype=np.bool_)
        if held:
            hidden |= np.any(held, axis=0) if is_float else np.all(held, axis=0)
        if is_float:
            hidden |= ~np.isfinite(image).all(axis=0)
        return hidden

    @torch.inference_mode()
    def _classes(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Class of every pixel of a reduced image."""
        trained, pixels = self._trained, torch.from_numpy(np.ascontiguousarray(image))
        windows = SlidingWindows(
            height_px=image.shape[1],
            width_px=image.shape[2],
            window_px=trained.window_px,
            step_px=trained.step_px,
            blended=True,
        )
        rows = []
        for _, _, sums in overlap_add(
            lambda images: self._network.segment(trained.scaling.to_unit(images)),
            lambda top, bottom: (pixels[:, top:bottom], None),
            windows,
            num_outputs=len(trained.classes),
            batch_size=max(1, _BATCH_PX // windows.window_px**2),
            device=torch.device("cpu"),
        ):
            if not sums.isfinite().all():  # argmax would make a class of it
                raise DataError("outputs of the model must be finite, got NaN or infinity")
            rows.append(sums.max(dim=0).indices.to(torch.uint8).numpy())
        return np.concatenate(rows)


def _enlarged(
    classes: NDArray[np.uint8], size_px: int, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Each class over its block; rows and columns that fill no block repeat the last one."""
    rows, columns = (
        np.minimum(np.arange(length) // size_px, reduced - 1)
        for length, reduced in zip(shape, classes.shape, strict=True)
    )
    enlarged: NDArray[np.uint8] = classes[rows[:, None], columns[None, :]]
    return enlarged


def _load_pyfunc(path: str) -> ServedModel:
    """Called by MLflow with the model file."""
    return ServedModel(TrainedModel.load(Path(path)))
