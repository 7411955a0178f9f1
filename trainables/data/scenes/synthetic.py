"""The built-in scenes, rendered once per seed and written in the ISPRS Vaihingen layout."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.canvas.conditions import KINDS
from trainables.data.scenes.georeference import tile_shape, tile_transform, write_geotiff
from trainables.data.scenes.render import draw_generators, paint_scene
from trainables.settings.processes import end_with_parent

_MAX_SOCKET_BYTES: Final = 103
"""Longest path of a Unix socket: 107 on Linux, 103 on macOS."""
SCENES_VERSION: Final = 2
"""Bump when pictures change: scenes of another version are not the same data."""

BUILTIN_AREAS: Final[Mapping[str, tuple[int, ...]]] = {
    "train": (1, 3, 5, 7, 11, 13, 21, 23, 26, 28, 30, 32),
    "val": (15, 17),
    "test": (2, 4, 6, 8, 10, 12),
}
"""Area numbers of the built-in tiles by split, a subset of the Vaihingen split of the paper."""

VAIHINGEN_SPLIT: Final[Mapping[str, tuple[int, ...]]] = {
    "train": (1, 3, 5, 7, 11, 13, 21, 23, 26, 28, 30, 32, 34, 37),
    "val": (15, 17),
    "test": (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
}

CLASS_COLORS: Final = np.array(
    [(255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)],
    dtype=np.uint8,
)
"""Impervious surfaces, building, low vegetation, tree, car, clutter: RGB (K, 3)."""

IGNORED: Final = 255
"""Value of an eroded reference near a border of classes; black in the files."""

_RECORD: Final = "scenes.json"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One rendered tile."""

    image: NDArray[np.uint8]
    """(3, H, W): near infrared, red, green."""
    mask: NDArray[np.uint8]
    """(H, W): class index 0-5, in the order of `CLASS_COLORS`."""


def _kind_of(seed: int, area: int) -> str:
    """Kinds go round within each split, so that every split of six areas shows them all."""
    for areas in VAIHINGEN_SPLIT.values():
        if area in areas:
            return KINDS[(areas.index(area) + seed) % len(KINDS)]
    return KINDS[(area + seed) % len(KINDS)]


def render_scene(seed: int, area: int, *, height_px: int, width_px: int) -> Scene:
    """Renders one tile; the same seed and area give the same bytes in any process.

    Args:
        seed: Seed of the whole set of scenes, >= 0.
        area: Area number, >= 0.
        height_px: Rows, >= 32.
        width_px: Columns, >= 32.

    Returns:
        The scene of (height_px, width_px), 9 cm pixels.

    Raises:
        ValueError: If an argument is out of range.
    """
    if seed < 0 or area < 0:
        raise ValueError(f"seed and area must be >= 0, got {seed!r} and {area!r}")
    if min(height_px, width_px) < 32:
        raise ValueError(
            f"height_px and width_px must be >= 32, got {height_px!r} and {width_px!r}"
        )
    generators = draw_generators(seed, area, SCENES_VERSION)
    image, mask = paint_scene(
        _kind_of(seed, area), generators, height_px=height_px, width_px=width_px
    )
    return Scene(image=image, mask=mask)


def erode_reference(mask: NDArray[np.uint8], radius_px: int = 3) -> NDArray[np.uint8]:
    """The mask with 255 within radius_px (a disc) of a border between classes.

    It takes the place of ISPRS's eroded references, which `trainables.data.decoding.erosion`
    compares.

    Args:
        mask: Class indices (H, W), uint8.
        radius_px: Radius of the disc, px; a pixel is ignored if a pixel of another class lies
            within it.

    Returns:
        (H, W), uint8: the class index, or 255 near a border.
    """
    height, width = mask.shape
    near_border = np.zeros(mask.shape, dtype=bool)
    for dy in range(radius_px + 1):
        for dx in range(-radius_px, radius_px + 1):
            # Half of the disc: each comparison marks both of its pixels.
            if dy * dy + dx * dx > radius_px**2 or (dy == 0 and dx <= 0):
                continue
            here = slice(0, height - dy), slice(max(0, -dx), min(width, width - dx))
            there = slice(dy, height), slice(max(0, dx), min(width, width + dx))
            differs = mask[here] != mask[there]
            near_border[here] |= differs
            near_border[there] |= differs
    return np.where(near_border, np.uint8(IGNORED), mask)


def _write_tile(folder: Path, seed: int, area: int, size_px: int) -> None:
    height_px, width_px = tile_shape(area, size_px)
    scene = render_scene(seed, area, height_px=height_px, width_px=width_px)
    transform = tile_transform(area, size_px)
    name = f"top_mosaic_09cm_area{area}"
    write_geotiff(folder / "top" / f"{name}.tif", scene.image, transform)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(CLASS_COLORS)] = CLASS_COLORS
    for subfolder, stem, mask in (
        ("gts_for_participants", name, scene.mask),
        ("gts_eroded_for_participants", f"{name}_noBoundary", erode_reference(scene.mask)),
    ):
        colours = np.ascontiguousarray(palette[mask].transpose(2, 0, 1))
        write_geotiff(folder / subfolder / f"{stem}.tif", colours, transform)


def _write_tiles(
    folder: Path, seed: int, areas: Sequence[int], size_px: int, num_processes: int
) -> None:
    if num_processes == 1:
        for area in areas:
            _write_tile(folder, seed, area, size_px)
        return
    context = get_context("forkserver" if _has_room_for_sockets() else "spawn")
    with ProcessPoolExecutor(
        num_processes, mp_context=context, initializer=end_with_parent
    ) as pool:
        futures = [pool.submit(_write_tile, folder, seed, area, size_px) for area in areas]
        try:
            for future in futures:
                future.result()
        except OSError as error:
            raise error from None  # the traceback of the other process is no part of the message
        finally:
            pool.shutdown(cancel_futures=True)


def _has_room_for_sockets() -> bool:
    """Whether the socket of a fork server fits below the system's temp folder."""
    socket = Path(tempfile.gettempdir()) / "pymp-xxxxxxxx" / "listener-xxxxxxxx"
    return os.name == "posix" and len(os.fsencode(socket)) <= _MAX_SOCKET_BYTES


def _is_complete(folder: Path, record: Mapping[str, object]) -> bool:
    try:
        found: object = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return found == record


def _move_into_place(written: Path, folder: Path, record: Mapping[str, object]) -> None:
    """Renames the finished folder; another process may have been faster."""
    for _ in range(10):
        try:
            written.rename(folder)
            return
        except OSError:
            if _is_complete(folder, record):
                return
            _refuse_other_files(folder)
        # Scenes of other settings lie there: move them aside, so that the name is free.
        aside = tempfile.TemporaryDirectory(prefix=f".{folder.name}-old-", dir=folder.parent)
        with aside, suppress(FileNotFoundError):
            folder.rename(Path(aside.name) / folder.name)
    raise OSError(f"{folder} keeps being written by others; wait for them, then try again")


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists() or (folder / _RECORD).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise OSError(f"{folder} must be new or hold scenes, but holds other files; move them")


def write_scenes(
    folder: Path,
    *,
    seed: int = 0,
    areas: Mapping[str, Sequence[int]] = BUILTIN_AREAS,
    size_px: int = 1024,
    num_processes: int = 2,
) -> Path:
    """Writes scenes as GeoTIFFs in the ISPRS Vaihingen layout; keeps a complete folder as it is.

    Nothing is seen at `folder` before all of it is written. Two processes may do it at once.

    Args:
        folder: Where the scenes shall lie; scenes of other settings there are replaced.
        seed: Seed of the set.
        areas: Area numbers by split.
        size_px: Mean side of a tile, px, >= 64; sides differ by up to 1/16.
        num_processes: Processes that render; 1 renders in this one.

    Returns:
        The folder.

    Raises:
        OSError: If the folder holds something else than scenes, or cannot be written.
    """
    record = {
        "version": SCENES_VERSION,
        "seed": seed,
        "size_px": size_px,
        "areas": {split: list(numbers) for split, numbers in areas.items()},
    }
    if _is_complete(folder, record):
        return folder
    _refuse_other_files(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in ("top", "gts_for_participants", "gts_eroded_for_participants"):
            (written / name).mkdir()
        numbers = sorted({area for group in areas.values() for area in group})
        _write_tiles(written, seed, numbers, size_px, num_processes)
        (written / _RECORD).write_text(json.dumps(record), encoding="utf-8")
        written.chmod(0o755)
        _move_into_place(written, folder, record)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return folder
