"""A tiny data set, an uninterrupted study of it, and studies to be tortured."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

# Tests are imported one by one (`--import-mode=importlib`): what they share must be on the path.
sys.path.insert(0, str(Path(__file__).parent))

from harness.checks import Record, leftover_problems, read_record
from harness.tortured_study import TorturedStudy

DATASET_YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}, {name: wood, value: 2}]
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


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 training, 1 validation and 2 test tiles of 80 x 96 pixels with a dataset.yaml."""
    folder = tmp_path_factory.mktemp("torture") / "data"
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :96]
    mask = ((rows // 20 + columns // 24) % 3).astype(np.uint8)
    for tile in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        noise = generator.integers(0, 30, (3, 80, 96))
        _write(folder / "images" / f"{tile}.tif", (mask[None] * 70 + noise).astype(np.uint8))
        _write(folder / "masks" / f"{tile}.tif", mask[None])
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


@pytest.fixture(scope="session")
def reference(tiny_data: Path, say: Callable[[str], None]) -> Record:
    """What an uninterrupted study leaves; made once."""
    study = TorturedStudy(tiny_data.parent / "reference", tiny_data)
    try:
        study.finish().settle()
    finally:
        study.end_all()
    assert leftover_problems(study, study.store) == []
    say("an uninterrupted study is there to compare with")
    return read_record(study, study.store)


@pytest.fixture
def make_study(tmp_path: Path, tiny_data: Path) -> Iterator[Callable[..., TorturedStudy]]:
    """A new study for torture; whatever of it still runs after the test is ended."""
    made: list[TorturedStudy] = []

    def make(**options: object) -> TorturedStudy:
        made.append(TorturedStudy(tmp_path / f"study-{len(made)}", tiny_data, **options))
        return made[-1]

    yield make
    ended = [text for study in made for text in study.end_all()]
    if ended:
        print(f"torture: ended what the test left: {', '.join(ended)}")


@pytest.fixture(scope="session")
def say() -> Callable[[str], None]:
    """Prints a line, at once where pytest does not capture."""
    return lambda text: print(f"torture: {text}", flush=True)


@pytest.fixture(scope="session")
def torture_seed() -> int:
    """Draws the moments."""
    return int(os.environ.get("UREC_TORTURE_SEED", "0"))


@pytest.fixture(scope="session")
def num_moments() -> int:
    """Kills of the driver."""
    return int(os.environ.get("UREC_TORTURE_MOMENTS", "5"))
