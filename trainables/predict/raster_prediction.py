"""One raster through a trained network: class map, probabilities, reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.errors import ConfigError, DataError
from trainables.evaluation.windows import Forward, SlidingWindows, overlap_add
from trainables.networks.model_file import TrainedModel
from trainables.predict.raster_address import RasterAddress
from trainables.predict.raster_input import RasterInput, open_raster
from trainables.predict.raster_layers import (
    Layer,
    class_layer,
    probability_layer,
    reconstruction_layer,
)
from trainables.predict.raster_output import RowWriter, cloud_optimised

MIN_WINDOW_PX: Final = 32
"""Smaller windows would be padding for the most part."""

_BATCH_PX: Final = {"cpu": 2**17, "cuda": 2**22}
"""Pixels of a forward pass: 2 and 64 windows of 256; more would cost memory and win no time."""


@dataclass(frozen=True, kw_only=True)
class PredictionConfig:
    """How rasters are predicted; checked when built.

    Raises:
        ConfigError: If a size is out of its range.
    """

    window_px: int
    """Side of a window, in pixels after the model's reduction."""
    overlap_px: int
    """Pixels that neighbouring windows share at least."""
    probabilities: bool = False
    """Also write the probability of every class."""
    reconstruction: bool = False
    """Also write the reconstruction."""

    def __post_init__(self) -> None:
        if self.window_px < MIN_WINDOW_PX:
            raise ConfigError(f"--window must be at least {MIN_WINDOW_PX}, got {self.window_px!r}")
        if not 0 <= self.overlap_px < self.window_px:
            raise ConfigError(
                f"--overlap must be in 0 ... {self.window_px - 1} (below the window), "
                f"got {self.overlap_px!r}"
            )

    def files(self, image: RasterAddress, out: Path) -> list[Path]:
        """What is written for an image: the class map first."""
        names = ["classes"]
        names += ["probabilities"] if self.probabilities else []
        names += ["reconstruction"] if self.reconstruction else []
        return [out / f"{image.stem}_{name}.tif" for name in names]


class Predictor:
    """A trained network on its device, ready for any number of rasters."""

    def __init__(
        self, trained: TrainedModel, config: PredictionConfig, device: torch.device
    ) -> None:
        """Build the network.

        Raises:
            DataError: If its weights do not fit.
            ConfigError: If a network of one's own cannot be imported or built, or a reconstruction
                is asked of a network that has none.
        """
        self._trained = trained
        self._config = config
        self._device = device
        self._model = trained.build().to(device)
        if config.reconstruction and not self._model.has_reconstruction:
            raise ConfigError(
                f"--reconstruction must be left out for {trained.network}, which has no "
                "reconstruction branch; take a model of a network that has one"
            )

    def windows(self, raster: RasterInput) -> SlidingWindows:
        """The windows of a raster."""
        return SlidingWindows(
            height_px=raster.height_px,
            width_px=raster.width_px,
            window_px=self._config.window_px,
            step_px=self._config.window_px - self._config.overlap_px,
            blended=True,
        )

    def predict(
        self,
        image: RasterAddress,
        out: Path,
        after_windows: Callable[[int], None] = lambda count: None,
    ) -> list[Path]:
        """Predict a raster and write the results beside each other.

        Args:
            image: The raster.
            out: Folder to write to.
            after_windows: Called with the number of windows done since the last call.

        Returns:
            The files written, `PredictionConfig.files`.

        Raises:
            DataError: If the image cannot be read or a result cannot be written.
        """
        paths = self._config.files(image, out)
        with open_raster(image, self._trained) as raster, ExitStack() as stack:
            layers = list(self._layers(raster))
            writers = [
                stack.enter_context(cloud_optimised(path, raster.raster, layer.content))
                for path, layer in zip(paths, layers, strict=True)
            ]
            for top, bottom, outputs in self._outputs(raster, after_windows):
                if not outputs.isfinite().all():  # argmax would make a class of it
                    raise DataError(
                        "outputs of the model must be finite, got NaN or infinity in "
                        f"{image.shown}; take another model"
                    )
                for layer, writer in zip(layers, writers, strict=True):
                    _write(raster, top, bottom, layer, outputs, writer)
        return paths

    def _outputs(
        self, raster: RasterInput, after_windows: Callable[[int], None]
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Top and bottom row, and the blended outputs of the network there (M, h, W)."""
        trained, windows = self._trained, self.windows(raster)
        num_outputs = len(trained.classes)
        num_outputs += len(trained.bands) if self._config.reconstruction else 0

        def read(top: int, bottom: int) -> tuple[Tensor, NDArray[np.bool_]]:
            image, shown = raster.read(top, bottom)
            return torch.from_numpy(image), shown

        for top, bottom, sums in overlap_add(
            _forward(self._model, trained, self._config.reconstruction),
            read,
            windows,
            num_outputs=num_outputs,
            batch_size=max(1, _BATCH_PX[self._device.type] // windows.window_px**2),
            device=self._device,
            after_windows=after_windows,
        ):
            yield top, bottom, sums.div_(windows.weight_sums(top, bottom).to(self._device))

    def _layers(self, raster: RasterInput) -> Iterator[Layer]:
        """What each output file holds, in the order of `PredictionConfig.files`."""
        yield class_layer(self._trained)
        if self._config.probabilities:
            yield probability_layer(self._trained)
        if self._config.reconstruction:
            yield reconstruction_layer(self._trained, raster.raster.source.nodata)


def _forward(model: nn.Module, trained: TrainedModel, with_reconstruction: bool) -> Forward:
    """The network for images as read: (N, C, h, w) to logits, reconstruction (N, M, h, w)."""

    @torch.inference_mode()
    def forward(images: Tensor) -> Tensor:
        scaled = trained.scaling.to_unit(images)
        if not with_reconstruction:
            logits: Tensor = model.segment(scaled)  # type: ignore[operator]
            return logits
        both = model(scaled)
        return torch.cat([both.logits, both.reconstruction], dim=1)

    return forward


def _write(
    raster: RasterInput, top: int, bottom: int, layer: Layer, outputs: Tensor, writer: RowWriter
) -> None:
    """Reduced rows of all bands of a layer, at the size of the file."""
    first, last = raster.file_rows(top, bottom)
    hidden = raster.hidden(first, last)
    for band, plane in enumerate(layer.values(outputs).cpu().numpy(), start=1):
        rows: NDArray[Any] = raster.enlarge(plane, last - first)
        if hidden is not None:
            rows = np.where(hidden, np.array(layer.fill, dtype=rows.dtype), rows)
        writer.write(band, first, rows)
