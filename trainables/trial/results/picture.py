"""One picture of a trial: image, reference, prediction and reconstruction, where there is one."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import Tile
from trainables.evaluation.inference import as_bytes, predict_logits, predict_reconstruction
from trainables.networks.network import Network
from trainables.settings.config import TrainingConfig

_SIDE_PX = 512
_GAP_PX = 8
_NARROWEST_PX = 128
"""Panels that are narrower are enlarged: their captions need the room."""
_CAPTION_PX = 24
_FONT_PX = 14
_CAPTIONS = ("input", "reference", "prediction", "reconstruction")


def trial_picture(
    model: Network,
    tile: Tile,
    colors: Sequence[tuple[int, int, int]],
    training: TrainingConfig,
    scaling: BandScaling,
    device: torch.device,
) -> bytes:
    """PNG with panels side by side, each below its caption, of the upper left corner of a tile.

    Args:
        model: The network, in evaluation mode.
        tile: A validation or test tile.
        colors: RGB of every class, 0-255 (K).
        training: For the inference window and its step.
        scaling: From the values of the tile to those the network sees.
        device: Where the network is.

    Returns:
        Image, reference, prediction and, where the network has one, reconstruction; black =
        unknown class. Those of a small tile are enlarged by a whole factor.
    """
    crop = np.s_[..., :_SIDE_PX, :_SIDE_PX]
    image = np.ascontiguousarray(tile.image[crop])
    window = {
        "window_px": training.infer_window_px,
        "step_px": training.infer_step_px,
        "batch_size": training.batch_size,
        "device": device,
        "scaling": scaling,
    }
    predicted = predict_logits(model, image, **window).max(0).indices.cpu().numpy()  # type: ignore[arg-type]
    unit = scaling.to_unit(torch.from_numpy(image))
    panels = [_as_rgb(unit), _as_colors(tile.mask[crop], colors), _as_colors(predicted, colors)]
    if model.has_reconstruction:
        rebuilt = predict_reconstruction(model, image, target=training.rec_target, **window)  # type: ignore[arg-type]
        panels.append(_as_rgb(rebuilt))
    buffer = io.BytesIO()
    _side_by_side(panels).save(buffer, format="PNG", optimize=False)
    return buffer.getvalue()


def _as_rgb(unit: Tensor) -> NDArray[np.uint8]:
    """First three bands in [0, 1], or the first one three times, as (H, W, 3)."""
    image = as_bytes(unit).cpu().numpy()
    bands = image[:3] if image.shape[0] >= 3 else np.repeat(image[:1], 3, axis=0)
    rgb: NDArray[np.uint8] = np.moveaxis(bands, 0, -1)
    return rgb


def _as_colors(
    mask: NDArray[np.integer], colors: Sequence[tuple[int, int, int]]
) -> NDArray[np.uint8]:
    table = np.zeros((IGNORE_INDEX + 1, 3), dtype=np.uint8)
    table[: len(colors)] = colors
    colored: NDArray[np.uint8] = table[mask]
    return colored


def _side_by_side(panels: Sequence[NDArray[np.uint8]]) -> Image.Image:
    factor = -(-_NARROWEST_PX // min(_NARROWEST_PX, panels[0].shape[1]))
    height, width = (factor * length for length in panels[0].shape[:2])
    size = (len(panels) * (width + _GAP_PX) - _GAP_PX, _CAPTION_PX + height)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    for index, (panel, caption) in enumerate(zip(panels, _CAPTIONS, strict=False)):
        left = index * (width + _GAP_PX)
        draw.text((left + 2, _CAPTION_PX // 2), caption, fill="black", font=font, anchor="lm")
        enlarged = panel.repeat(factor, axis=0).repeat(factor, axis=1)
        sheet.paste(Image.fromarray(enlarged), (left, _CAPTION_PX))
    return sheet
