"""Studies on rasters as people have them: uint16 COGs with four bands, float32 with nodata."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml
from rasterio.transform import from_origin

from trainables.predict import command as predict

ROOT = Path(__file__).parents[3]
SIZE = 96
CONFIG = """\
models: [urec]
seeds: 1
width: 2
downsample: 1
patch_px: 32
batch_size: 2
steps: 6
warmup_steps: 1
num_validations: 2
infer_window_px: 64
infer_step_px: 32
budget_unit: point
"""
YAML = """\
name: any
bands: [{bands}]
images: '{{tile}}.tif'
masks: '{{tile}}_mask.tif'
classes: [{{name: low, value: 0}}, {{name: high, value: 1}}]
splits: {{train: [a, b], val: [c], test: [d]}}
"""


def _profile(driver: str, place: int, bands: np.ndarray, **options) -> dict:
    return {
        "driver": driver,
        "count": len(bands),
        "height": SIZE,
        "width": SIZE,
        "dtype": bands.dtype,
        "crs": "EPSG:32633",
        "transform": from_origin(400_000 + place * SIZE, 5_000_000, 1, 1),
    } | options


def _dataset(folder: Path, kind: str) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    is_float = kind == "float32"
    for place, tile in enumerate("abcd"):
        mask = (np.indices((SIZE, SIZE)).sum(axis=0) // 24 % 2).astype(np.uint8)
        bands = rng.normal(0, 0.1, (2 if is_float else 4, SIZE, SIZE)) + mask
        if is_float:
            bands = (bands * 5 - 2).astype(np.float32)
            bands[:, :20, :30] = -9999.0
            profile = _profile("GTiff", place, bands, nodata=-9999.0)
        else:
            bands = (bands * 3000 + 4000).clip(0, 65535).astype(np.uint16)
            profile = _profile("COG", place, bands)
        with rasterio.open(folder / f"{tile}.tif", "w", **profile) as target:
            target.write(bands)
        with rasterio.open(
            folder / f"{tile}_mask.tif", "w", **_profile("GTiff", place, mask[None])
        ) as target:
            target.write(mask[None])
    names = "vv, vh" if is_float else "red, green, blue, nir"
    (folder / "dataset.yaml").write_text(YAML.format(bands=names))
    return folder


def _run(cwd: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_training_and_prediction(mlflow_database, tmp_path, kind):
    shutil.copy(mlflow_database, tmp_path)
    data = _dataset(tmp_path / "data", kind)
    (tmp_path / "tiny.yaml").write_text(CONFIG + ("tile_memory_mib: 0.01\n" if kind == "uint16"
                                                  else ""))  # fmt: skip
    _run(
        tmp_path, str(ROOT / "run_study.py"), "--data", str(data), "--preset", "smoke",
        "--config", "tiny.yaml", "--space", "label_frac=0.1", "--name", "any",
    )  # fmt: skip
    study = tmp_path / "studies" / "any"
    dataset = yaml.safe_load((study / "study.yaml").read_text())["dataset"]
    assert dataset["scaling"]["dtype"] == kind
    low, high = dataset["scaling"]["low"][0], dataset["scaling"]["high"][0]
    assert (-4 < low < -2 and 3 < high < 5) if kind == "float32" else (3000 < low < high < 9000)
    assert dataset["eroded_reference"] == "full reference"
    assert not (study / "tiles").exists()
    assert (study / "report" / "index.html").read_text().count("Which pixels were annotated") == 1
    model = study / "trials" / "confirm-urec-f0.10-s1"
    options = ["--model", str(model), "--probabilities", "--reconstruction", str(data / "d.tif")]
    _run(tmp_path, "-m", "trainables.predict", *options, "--out", str(tmp_path / "one"))
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the process above: the order of sums depends on it
    try:
        assert predict.main([*options, "--out", str(tmp_path / "two")]) == 0
    finally:
        torch.set_num_threads(num_threads)
    results = [sorted((tmp_path / out).iterdir()) for out in ("one", "two")]
    assert [len(files) for files in results] == [4, 4], "three rasters and a style"
    first, second = ([file.read_bytes() for file in files] for files in results)
    assert first == second
    with (
        rasterio.open(data / "d.tif") as source,
        rasterio.open(tmp_path / "one" / "d_classes.tif") as classes,
        rasterio.open(tmp_path / "one" / "d_reconstruction.tif") as rebuilt,
    ):
        assert classes.bounds == source.bounds
        assert classes.crs == source.crs
        assert classes.shape == source.shape
        assert rebuilt.dtypes == source.dtypes
        hidden = classes.read(1) == 255
        expected = np.zeros((SIZE, SIZE), dtype=bool)
        expected[:20, :30] = kind == "float32"
        assert np.array_equal(hidden, expected)
