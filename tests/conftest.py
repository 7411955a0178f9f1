"""Settings of all tests, and a tiny data set."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import settings
from rasterio.errors import NotGeoreferencedWarning

settings.register_profile("untimed", deadline=None)  # how long a test takes says nothing here
settings.load_profile("untimed")

DATASET_YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}, {name: wood, value: 2}]
ignore_values: [9]
splits: {train: [a*], val: [b1], test: [c*]}
"""


def _write(file: Path, bands: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "w", driver="GTiff", **profile) as target:
            target.write(bands)


def _write_dataset(folder: Path, *, masks: bool = True, unlabelled: tuple[str, ...] = ()) -> Path:
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :96]
    mask = ((rows // 20 + columns // 24) % 3).astype(np.uint8)
    for tile in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        noise = generator.integers(0, 30, (3, 80, 96))
        _write(folder / "images" / f"{tile}.tif", (mask[None] * 70 + noise).astype(np.uint8))
        if masks:
            shown = np.full_like(mask, 9) if tile in unlabelled else mask
            _write(folder / "masks" / f"{tile}.tif", shown[None])
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., Path]:
    """Writes 4 training, 1 validation and 2 test tiles of 80 x 96 pixels with a dataset.yaml."""
    return _write_dataset


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set; for reading only."""
    return _write_dataset(tmp_path_factory.mktemp("tiny") / "data")
