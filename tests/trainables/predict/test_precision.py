import re

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.predict import command as predict
from trainables.predict import raster_prediction


@pytest.fixture
def model(tmp_path):
    """A network with random weights, whose normalisation has seen images."""
    network = build_network("unet", 3, 3, width=4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _ in range(30):
            network(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    path = tmp_path / "model.pt"
    TrainedModel(
        network="unet",
        width=4,
        bands=("red", "green", "blue"),
        classes=tuple(ClassSpec(name=name, color=(0, 0, 0)) for name in "abc"),
        downsample=1,
        window_px=64,
        step_px=64,
        scaling=uint8_scaling(3),
        trial_key="confirm-x-f1.00-s1",
        study="harbour",
        state=network.state_dict(),
    ).save(path)
    return path


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "field.tif"
    place = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.09, 0.09)}
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 2048), dtype=np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", width=2048, height=64, count=3, dtype="uint8", **place
    ) as target:
        target.write(pixels)
    return path


def _run(model, image, out, *options):
    options = ("--device", "cpu", *options)
    return predict.main(["--model", str(model), "--out", str(out), *options, str(image)])


def _classes(out):
    with rasterio.open(out / "field_classes.tif") as source:
        return source.read(1)


@pytest.mark.numbers
def test_the_share_of_equal_pixels_is_told_and_true(model, image, tmp_path, monkeypatch, capsys):
    """A processor without bf16 emulates it here, with other last bits."""
    monkeypatch.setattr(raster_prediction, "has_bf16", lambda device: True)
    assert _run(model, image, tmp_path / "half", "--precision", "bf16") == 0
    told = re.search(r"in bf16 ([\d.]+)% of ([\d,]+) pixels of windows", capsys.readouterr().err)
    assert told is not None
    assert int(told[2].replace(",", "")) == 2048 * 64  # windows do not overlap: one batch
    assert _run(model, image, tmp_path / "full") == 0
    assert "bf16" not in capsys.readouterr().err
    equal = (_classes(tmp_path / "half") == _classes(tmp_path / "full")).mean()
    assert float(told[1]) == pytest.approx(100 * equal, abs=0.001)
    assert 90 < float(told[1]) < 100


def test_it_is_refused_where_it_would_be_emulated(model, image, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(raster_prediction, "has_bf16", lambda device: False)
    assert _run(model, image, tmp_path / "half", "--precision", "bf16") == 2
    assert "--precision must be fp32 on this processor, got 'bf16'" in capsys.readouterr().err
    assert not (tmp_path / "half").exists()


def test_it_is_refused_with_a_reconstruction(model, image, tmp_path, capsys):
    options = ("--precision", "bf16", "--reconstruction")
    assert _run(model, image, tmp_path / "half", *options) == 2
    assert "--precision must be fp32 with --reconstruction" in capsys.readouterr().err


def test_an_image_without_data_is_compared_with_nothing(
    model, image, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(raster_prediction, "has_bf16", lambda device: True)
    with rasterio.open(image, "r+") as target:
        target.nodata = 7
        target.write(np.full((3, *target.shape), 7, dtype=np.uint8))
    assert _run(model, image, tmp_path / "half", "--precision", "bf16") == 0
    assert capsys.readouterr().err == ""
    assert (_classes(tmp_path / "half") == 255).all()


@pytest.mark.numbers
def test_turns_and_flips_are_not_added_up_in_bf16(model, image, tmp_path, monkeypatch):
    """Eight sums rounded to 8 bits were further from float32 than one pass without them."""
    monkeypatch.setattr(raster_prediction, "has_bf16", lambda device: True)
    for name, options in {
        "full": (), "half": ("--precision", "bf16"),
        "full8": ("--tta",), "half8": ("--tta", "--precision", "bf16"),
    }.items():  # fmt: skip
        assert _run(model, image, tmp_path / name, "--probabilities", *options) == 0

    def off(name):
        planes = []
        for precision in ("half", "full"):
            with rasterio.open(tmp_path / f"{precision}{name}" / "field_probabilities.tif") as file:
                planes.append(file.read())
        return float(np.sqrt(np.mean((planes[0] - planes[1]) ** 2)))

    assert off("8") < off("")
