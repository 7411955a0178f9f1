"""Every fault of a data set is said in one line, with exit code 2, before any trial starts."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

from run_study import main

YAML = """\
name: bad
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: {train: [a*], val: [b*], test: [c*]}
"""
SIZE = 64
PLACES = {"a1": 0, "a2": 1, "b1": 2, "c1": 3}


def _write(file: Path, bands: np.ndarray, place: float, crs: str = "EPSG:32632") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    transform = from_origin(500_000 + place * SIZE * 0.5, 5_400_000, 0.5, 0.5)
    with rasterio.open(
        file, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype, crs=crs, transform=transform, compress="deflate",
    ) as target:  # fmt: skip
        target.write(bands)


def _image(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8)


def _mask(size: int = SIZE) -> np.ndarray:
    return (np.arange(size * size).reshape(1, size, size) // 11 % 2).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound data set of four georeferenced tiles in a row."""
    data = tmp_path / "data"
    for tile, place in PLACES.items():
        _write(data / "images" / f"{tile}.tif", _image(), place)
        _write(data / "masks" / f"{tile}.tif", _mask(), place)
    (data / "dataset.yaml").write_text(YAML)
    return data


def _other_size(data: Path) -> None:
    _write(data / "masks" / "a1.tif", _mask(60), 0)


def _other_crs(data: Path) -> None:
    _write(data / "masks" / "a2.tif", _mask(), 1, "EPSG:32633")


def _other_transform(data: Path) -> None:
    _write(data / "masks" / "b1.tif", _mask(), 2.25)


def _unknown_value(data: Path) -> None:
    mask = _mask()
    mask[0, 5, 7:10] = 9
    _write(data / "masks" / "c1.tif", mask, 3)


def _missing_partner(data: Path) -> None:
    (data / "masks" / "a1.tif").unlink()


def _truncated(data: Path) -> None:
    file = data / "images" / "a2.tif"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _unreadable(data: Path) -> None:
    (data / "images" / "b1.tif").write_bytes(b"this is no raster")


def _absent_class(data: Path) -> None:
    for tile in ("a1", "a2"):
        _write(data / "masks" / f"{tile}.tif", np.zeros_like(_mask()), PLACES[tile])


def _overlap(data: Path) -> None:
    for kind, bands in (("images", _image()), ("masks", _mask())):
        _write(data / kind / "c1.tif", bands, 2.5)


FAULTS = {
    "size": (_other_size, ["size", "60 x 60 px", "masks/a1.tif"]),
    "crs": (_other_crs, ["CRS", "EPSG:32633", "masks/a2.tif"]),
    "transform": (_other_transform, ["transform", "masks/b1.tif"]),
    "value": (_unknown_value, ["got 9 (3 px, first at row 5, column 7)", "masks/c1.tif"]),
    "partner": (_missing_partner, ["mask", "masks/a1.tif"]),
    "truncated": (_truncated, ["file must be a readable raster", "images/a2.tif"]),
    "unreadable": (_unreadable, ["file must be a readable raster", "images/b1.tif"]),
    "class": (_absent_class, ["classes must occur in the training tiles, got none of water"]),
    "overlap": (_overlap, ["overlap", "images/b1.tif", "images/c1.tif"]),
}


def _run(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    output = data.parent / "studies"
    options = ["--data", str(data), "--preset", "smoke", "--output", str(output)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotGeoreferencedWarning)
        code = main([*options, "--tracking-uri", f"sqlite:///{data.parent / 'mlflow.db'}"])
    assert not output.exists(), "nothing is left of a study that never began"
    assert not (data.parent / "mlflow.db").exists()
    told = capsys.readouterr().err
    assert told.count("run_study.py: ") == 1
    return code, told[told.index("run_study.py: ") :].rstrip()


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_gives_one_clear_line(folder, capsys, fault):
    spoil, words = FAULTS[fault]
    spoil(folder)
    code, line = _run(folder, capsys)
    assert code == 2
    assert [word for word in words if word not in line] == []
    assert "\n" not in line


def test_several_faults_are_all_listed(folder, capsys):
    named = ("transform", "value", "partner", "truncated")
    for fault in named:
        FAULTS[fault][0](folder)
    code, line = _run(folder, capsys)
    assert code == 2
    words = [word for fault in named for word in FAULTS[fault][1]]
    assert [word for word in words if word not in line] == []
    assert len(line.splitlines()) >= 1 + len(named), "one a line below their number"


def test_a_large_tile_set_is_checked_by_window_too(folder, capsys):
    _unknown_value(folder)
    config = folder.parent / "large.yaml"
    config.write_text("tile_memory_mib: 0.001\n")
    output = folder.parent / "studies"
    arguments = ["--data", str(folder), "--config", str(config), "--output", str(output)]
    assert main(arguments) == 2
    assert "got 9 (3 px" in capsys.readouterr().err
    assert not output.exists()


def test_the_sound_data_set_has_no_fault(folder):
    from trainables.data.decoding.tiles import read_dataset
    from trainables.data.layouts.dataset import load_dataset

    decoded = read_dataset(load_dataset(folder))
    assert {split: len(tiles) for split, tiles in decoded.tiles.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    shutil.rmtree(folder)
