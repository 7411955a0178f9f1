"""One raster through a trained network: class map, probabilities, reconstruction."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.errors import ConfigError, DataError
from trainables.evaluation.bf16_forward import Bf16Forward
from trainables.evaluation.windows import Forward, SlidingWindows, overlap_add
from trainables.networks.model_file import TrainedModel
from trainables.predict.polygons import write_polygons
from trainables.predict.qgis_style import polygon_style, raster_style, write_style
from trainables.predict.raster_address import RasterAddress
from trainables.predict.raster_input import RasterInput, open_raster
from trainables.predict.raster_layers import (
    Layer,
    class_layer,
    confidence_layer,
    probability_layer,
    reconstruction_layer,
)
from trainables.predict.raster_output import RowWriter, cloud_optimised
from trainables.settings.config import Precision
from trainables.settings.precision import has_bf16

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
    polygons: bool = False
    """Also write the class map as polygons."""
    min_area_m2: float = 0.0
    """Polygons that are smaller join a neighbour."""
    simplify_m: float = 0.0
    """How far borders of polygons may move."""
    tta: bool = False
    """Whether outputs are means over the eight turns and flips of each window."""
    precision: Precision = "fp32"
    """Arithmetic of the network; bf16 is faster, and changes the class of some pixels."""

    def __post_init__(self) -> None:
        if self.window_px < MIN_WINDOW_PX:
            raise ConfigError(f"--window must be at least {MIN_WINDOW_PX}, got {self.window_px!r}")
        if not 0 <= self.overlap_px < self.window_px:
            raise ConfigError(
                f"--overlap must be in 0 ... {self.window_px - 1} (below the window), "
                f"got {self.overlap_px!r}"
            )
        for name, value in (("--min-area", self.min_area_m2), ("--simplify", self.simplify_m)):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be 0 or more, got {value!r}")
            if value and not self.polygons:
                raise ConfigError(f"{name} is about polygons, got {value!r} without --polygons")
        if self.reconstruction and self.precision == "bf16":
            raise ConfigError(
                "--precision must be fp32 with --reconstruction, got 'bf16', whose values have "
                "some 256 steps; predict twice"
            )

    def rasters(self, image: RasterAddress, out: Path) -> list[Path]:
        """The rasters that are written for an image: the class map first."""
        names = ["classes"]
        names += ["probabilities"] if self.probabilities else []
        names += ["reconstruction"] if self.reconstruction else []
        return [out / f"{image.stem}_{name}.tif" for name in names]

    def files(self, image: RasterAddress, out: Path) -> list[Path]:
        """What is written for an image, without styles: the class map first."""
        polygons = [out / f"{image.stem}_polygons.gpkg"] if self.polygons else []
        return [*self.rasters(image, out), *polygons]


class Predictor:
    """A trained network on its device, ready for any number of rasters."""

    def __init__(
        self, trained: TrainedModel, config: PredictionConfig, device: torch.device
    ) -> None:
        """Build the network.

        Raises:
            DataError: If its weights do not fit.
            ConfigError: If a network of one's own cannot be imported or built, a reconstruction is
                asked of a network that has none, or bf16 of a device that would emulate it.
        """
        self._trained = trained
        self._config = config
        self._device = device
        if config.precision == "bf16" and not has_bf16(device):
            name = "card" if device.type == "cuda" else "processor"
            raise ConfigError(
                f"--precision must be fp32 on this {name}, got 'bf16', which it would emulate, "
                "slower than fp32; leave the option out"
            )
        network = trained.build()
        self._model = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.reconstruction and not self._model.has_reconstruction:
            raise ConfigError(
                f"--reconstruction must be left out for {trained.network}, which has no "
                "reconstruction branch; take a model of a network that has one"
            )
        self._forward = _forward(self._model, trained, config)
        self.in_bf16: Bf16Forward | None = None
        """The network in bf16, which counts what that changes; None in float32."""
        if config.precision == "bf16":
            self.in_bf16 = Bf16Forward(self._forward, len(trained.classes))

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
        config, trained = self._config, self._trained
        if not config.polygons:
            self._write_rasters(image, config.rasters(image, out), after_windows)
        else:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{image.stem}.", dir=out) as folder:
                confidence = Path(folder) / "confidence.tif"
                rasters = config.rasters(image, out)
                self._write_rasters(image, [*rasters, confidence], after_windows)
                target = config.files(image, out)[-1]
                write_polygons(
                    rasters[0],
                    confidence,
                    target,
                    [one.name for one in trained.classes],
                    min_area_m2=config.min_area_m2,
                    simplify_m=config.simplify_m,
                )
                write_style(target.with_suffix(".qml"), polygon_style(trained.classes))
        paths = config.files(image, out)
        write_style(paths[0].with_suffix(".qml"), raster_style(trained.classes))
        return paths

    def _write_rasters(
        self, image: RasterAddress, paths: Sequence[Path], after_windows: Callable[[int], None]
    ) -> None:
        """Predict a raster into files, in the order of `_layers`."""
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
            self._forward if self.in_bf16 is None else self.in_bf16,
            read,
            windows,
            num_outputs=num_outputs,
            batch_size=max(1, _BATCH_PX[self._device.type] // windows.window_px**2),
            device=self._device,
            after_windows=after_windows,
        ):
            yield top, bottom, sums.div_(windows.weight_sums(top, bottom).to(self._device))

    def _layers(self, raster: RasterInput) -> Iterator[Layer]:
        """What each raster holds, in the order of `PredictionConfig.rasters`; then confidence."""
        yield class_layer(self._trained)
        if self._config.probabilities:
            yield probability_layer(self._trained)
        if self._config.reconstruction:
            yield reconstruction_layer(self._trained, raster.raster.source.nodata)
        if self._config.polygons:
            yield confidence_layer(self._trained)


def _forward(model: nn.Module, trained: TrainedModel, config: PredictionConfig) -> Forward:
    """The network for images as read: (N, C, h, w) to logits, reconstruction (N, M, h, w)."""

    def once(scaled: Tensor) -> Tensor:
        if not config.reconstruction:
            logits: Tensor = model.segment(scaled)  # type: ignore[operator]
            return logits.float()  # of bf16, which is too coarse to add up
        both = model(scaled)
        return torch.cat([both.logits, both.reconstruction], dim=1)

    @torch.inference_mode()
    def forward(images: Tensor) -> Tensor:
        scaled = trained.scaling.to_unit(images)
        if not config.tta:
            return once(scaled)
        total = once(scaled)
        for turns, flips in [*product(range(4), (False, True))][1:]:
            seen = scaled.flip(-1) if flips else scaled
            given = once(seen.rot90(turns, (-2, -1))).rot90(-turns, (-2, -1))
            total += given.flip(-1) if flips else given
        return total.div_(8.0)

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
