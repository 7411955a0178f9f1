"""Predicted maps and test tiles as a study keeps them: found, decoded and checked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.reading.schema import StudyDataError
from contract.names import MAPS, TEST_TILES, file_stem

if TYPE_CHECKING:
    from PIL import Image

    from analysis.reading.sources.record import StudyRecord

ClassMap = NDArray[np.uint8]
"""Class index of every pixel (H, W); UNKNOWN where a reference has none."""
Picture = NDArray[np.uint8]
"""Red, green, blue of every pixel (H, W, 3), 0-255."""

UNKNOWN = 255
"""Value of a reference pixel whose class is unknown: it is never counted."""


def reference_content(record: StudyRecord, tile: str) -> bytes | None:
    """The reference of a test tile as a file; None where the study keeps none."""
    return record.study_artifact(f"{TEST_TILES}/{file_stem(tile)}_reference.png")


def predicted_content(record: StudyRecord, trial_key: str, tile: str) -> bytes | None:
    """What a trial predicted for a test tile as a file; None where it keeps none."""
    return record.artifact(trial_key, f"{MAPS}/{file_stem(tile)}.png")


def image_content(record: StudyRecord, tile: str) -> bytes | None:
    """The image of a test tile as a file; None where the study keeps none."""
    return record.study_artifact(f"{TEST_TILES}/{file_stem(tile)}.jpg")


def reconstruction_content(record: StudyRecord, trial_key: str, tile: str) -> bytes | None:
    """A trial's reconstruction of a test tile as a file; None where it keeps none."""
    return record.artifact(trial_key, f"{MAPS}/{file_stem(tile)}_reconstruction.jpg")


def decode_classes(
    content: bytes,
    num_classes: int,
    *,
    where: str,
    shape: tuple[int, int] | None = None,
    may_be_unknown: bool = False,
) -> ClassMap:
    """Class indices of a palette PNG.

    Args:
        content: The file.
        num_classes: K.
        where: Which file it is, for messages.
        shape: Height and width that it must have; None for any.
        may_be_unknown: Whether UNKNOWN is a value too: in a reference, never in a prediction.

    Returns:
        (H, W), read-only.

    Raises:
        StudyDataError: If it is no such picture, or of another size, or has another value.
    """
    picture = _opened(content, where)
    if picture.mode not in ("P", "L"):
        raise StudyDataError(
            f"a map must have one class index per pixel, got a picture of mode {picture.mode!r} "
            f"in {where}"
        )
    _check_shape(picture, shape, where)
    classes = np.asarray(picture)
    strange = classes >= num_classes
    if may_be_unknown:
        strange &= classes != UNKNOWN
    if strange.any():
        raise StudyDataError(
            f"a map must hold class indices below {num_classes}"
            f"{f' or {UNKNOWN}' if may_be_unknown else ''}, got "
            f"{np.unique(classes[strange]).tolist()!r} in {where}"
        )
    return classes


def decode_picture(content: bytes, *, where: str, shape: tuple[int, int] | None = None) -> Picture:
    """Pixels of a JPEG or PNG, grey ones as three equal channels.

    Args:
        content: The file.
        where: Which file it is, for messages.
        shape: Height and width that it must have; None for any.

    Raises:
        StudyDataError: If it is no picture, or of another size.
    """
    picture = _opened(content, where)
    _check_shape(picture, shape, where)
    return np.asarray(picture.convert("RGB"))


def decode_palette(content: bytes, num_classes: int, *, where: str) -> Picture:
    """Colours of the classes in the palette of a map, (K, 3), 0-255.

    Raises:
        StudyDataError: If it is no palette PNG, or the palette is too short.
    """
    picture = _opened(content, where)
    palette = picture.getpalette() if picture.mode == "P" else None
    if palette is None or len(palette) < 3 * num_classes:
        raise StudyDataError(
            f"a map must have a colour for each of {num_classes} classes in {where}"
        )
    return np.array(palette[: 3 * num_classes], dtype=np.uint8).reshape(num_classes, 3)


def _opened(content: bytes, where: str) -> Image.Image:
    """The decoded picture."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        text = " ".join(str(error).split())
        raise StudyDataError(f"a map must be a PNG or JPEG, got {text} in {where}") from error
    return picture


def _check_shape(picture: Image.Image, shape: tuple[int, int] | None, where: str) -> None:
    found = (picture.height, picture.width)
    if shape is not None and found != shape:
        raise StudyDataError(
            f"a map must have the {shape[0]} rows and {shape[1]} columns of its reference, got "
            f"{found[0]} and {found[1]} in {where}"
        )
