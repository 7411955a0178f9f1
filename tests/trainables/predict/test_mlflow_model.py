import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.errors import DataError
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.predict import command
from trainables.predict.mlflow_model import ServedModel, _load_pyfunc

CLASSES = tuple(ClassSpec(name=name, color=(index, 0, 0)) for index, name in enumerate("abc"))
PLACE = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.09, 0.09)}


def make_model(scaling: BandScaling, **options) -> TrainedModel:
    network = build_network("unet", 3, 3, width=2, generator=torch.Generator().manual_seed(1))
    for module in network.modules():  # batch statistics that keep its signals alive
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    fields = {"downsample": 1, "nodata": (), **options}
    return TrainedModel(
        network="unet", width=2, bands=("r", "g", "b"), classes=CLASSES, window_px=64, step_px=48,
        scaling=scaling, trial_key="confirm-x-f1.00-s1", state=network.state_dict(), **fields,
    )  # fmt: skip


FLOATS = BandScaling(dtype="float32", low=(0.0, 0.0, 0.0), high=(255.0, 255.0, 255.0))


@pytest.mark.parametrize(
    ("scaling", "options", "hidden_as"),
    [
        (uint8_scaling(3), {}, None),
        (uint8_scaling(3), {"downsample": 3, "nodata": (7, 7, None)}, 7),
        (FLOATS, {"nodata": (None, None, -9999)}, -9999),
        (FLOATS, {"downsample": 2}, np.nan),
    ],
)
def test_a_served_model_gives_the_map_that_the_command_writes(
    tmp_path, scaling, options, hidden_as
):
    trained = make_model(scaling, **options)
    trained.save(tmp_path / "model.pt")
    pixels = np.random.default_rng(0).integers(8, 256, (3, 70, 91)).astype(scaling.dtype)
    if hidden_as is not None:
        pixels[:, 10:25, 30:60] = hidden_as
    profile = {"driver": "GTiff", "dtype": scaling.dtype, "width": 91, "height": 70, "count": 3}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, **PLACE) as target:
        target.write(pixels)
    arguments = ["--model", str(tmp_path / "model.pt"), "--out", str(tmp_path / "out")]
    assert command.main([*arguments, "--device", "cpu", str(tmp_path / "a.tif")]) == 0
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as source:
        expected = source.read(1)
    served = _load_pyfunc(str(tmp_path / "model.pt")).predict(pixels)
    assert (served.dtype, served.shape) == (np.uint8, (70, 91))
    assert len(np.unique(expected)) > 1 + (hidden_as is not None)
    assert np.array_equal(served == 255, expected == 255)
    assert (served == expected).mean() > 0.999, "kernels may round a tie otherwise"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((2, 9, 9), np.uint8), "uint8 of shape (3, H, W), bands r, g, b, got uint8 (2"),
        (np.zeros((3, 9, 9)), "got float64 (3, 9, 9)"),
        (np.zeros((9, 9), np.uint8), "got uint8 (9, 9)"),
        (np.zeros((3, 1, 9), np.uint8), "at least 2 px high and wide"),
    ],
)
def test_another_array_is_refused_in_words(image, said):
    model = ServedModel(make_model(uint8_scaling(3), downsample=2))
    with pytest.raises(DataError) as error:
        model.predict(image)
    assert said in str(error.value)
