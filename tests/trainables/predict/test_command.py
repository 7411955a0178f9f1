import os
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from PIL import Image, ImageOps
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.transform import from_origin
from torch import nn

from trainables.data.decoding.reduction import reduce_image
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.predict import command as predict
from trainables.predict import raster_output, raster_prediction
from trainables.predict.raster_address import RasterAddress
from trainables.predict.raster_input import open_raster
from trainables.predict.raster_layers import reconstruction_layer

CLASSES = tuple(
    ClassSpec(name=name, color=color)
    for name, color in (("land", (0, 128, 0)), ("water", (0, 0, 255)), ("wood", (9, 8, 7)))
)
PLACE = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.09, 0.09)}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(autouse=True)
def _in_double(monkeypatch):
    """Networks compute in float64.

    Channels that are all but constant amplify the rounding of float32 to 1e-4 of a logit, so that
    comparisons would hold only where both sides happen to get the same kernels.
    """
    build = TrainedModel.build

    def exact(trained):
        network = build(trained).double()
        network.encoder.register_forward_pre_hook(
            lambda _, arguments: tuple(argument.double() for argument in arguments)
        )
        return network

    monkeypatch.setattr(TrainedModel, "build", exact)


def _trained(network="urec", *, downsample=1, num_bands=3, window_px=64, step_px=48, scaling=None):
    """A model with random weights whose batch statistics keep its signals alive."""
    model = build_network(
        network, num_bands, 3, width=2, generator=torch.Generator().manual_seed(1)
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.rand(4, num_bands, 64, 64, generator=torch.Generator().manual_seed(0)))
    if network == "urec":
        with torch.no_grad():
            model.reconstruction.head.bias += 0.5
    return TrainedModel(
        network=network,
        width=2,
        bands=("red", "green", "blue", "nir")[:num_bands],
        classes=CLASSES,
        downsample=downsample,
        window_px=window_px,
        step_px=step_px,
        scaling=scaling or uint8_scaling(num_bands),
        trial_key="confirm-x-f1.00-s1",
        study="harbour",
        state=model.state_dict(),
    )


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "confirm-x-f1.00-s1" / "model.pt"
    _trained().save(path)
    return path


def _pixels(height=70, width=90, num_bands=3, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (num_bands, height, width), dtype=np.uint8)


def _write(path, pixels, alpha=None, **profile):
    bands = pixels if alpha is None else np.concatenate([pixels, alpha[None]])
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "dtype": bands.dtype.name, **profile}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", width=width, height=height, count=count, **profile) as target:
            if alpha is not None:
                colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
                target.colorinterp = [*colors, ColorInterp.alpha]
            target.write(bands)
    return path


def _run(model, out, *arguments):
    return predict.main(
        ["--model", str(model), "--out", str(out), "--device", "cpu", *map(str, arguments)]
    )


def _read(path):
    with rasterio.open(path) as source:
        return source.read()


def _whole(trained, pixels):
    """Logits and reconstruction of an image at once."""
    with torch.no_grad():
        output = trained.build()(torch.from_numpy(pixels)[None].float() / 255)
    return output.logits[0], output.reconstruction[0]


def _assert_classes(classes, logits):
    """The class map (H, W) of logits (K, H, W), but where rounding chooses between two classes."""
    best, second = logits.topk(2, dim=0).values
    clear = (best - second > 1e-5).numpy()
    assert clear.mean() > 0.99
    assert np.array_equal(classes[clear], logits.argmax(0).numpy()[clear])


@pytest.mark.numbers
def test_a_window_over_the_whole_image_is_the_network_itself(model, tmp_path):
    pixels = _pixels()
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    options = ("--window", 128, "--probabilities", "--reconstruction")
    assert _run(model, tmp_path / "out", image, *options) == 0
    logits, rebuilt = _whole(_trained(), pixels)
    classes = _read(tmp_path / "out" / "a_classes.tif")
    assert len(np.unique(classes)) > 1
    _assert_classes(classes[0], logits)
    probabilities = _read(tmp_path / "out" / "a_probabilities.tif")
    np.testing.assert_allclose(probabilities, logits.softmax(0).numpy(), atol=1e-5)
    in_units = (rebuilt * 255).round().clamp(0, 255).numpy()
    found = _read(tmp_path / "out" / "a_reconstruction.tif")
    assert found.dtype == np.uint8
    assert found.std() > 1
    assert np.abs(found - in_units).max() <= 1  # a tie may be rounded either way
    assert (found == in_units).mean() > 0.99


@pytest.mark.numbers
def test_small_windows_are_blended_by_a_raised_cosine(model, tmp_path):
    pixels = _pixels(70, 90)
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    options = ("--window", 32, "--overlap", 12, "--probabilities")
    assert _run(model, tmp_path / "out", image, *options) == 0
    phase = np.pi * (np.arange(32) + 0.5) / 32
    side = 1e-3 + (1 - 1e-3) * np.sin(phase) ** 2
    total, sums = np.zeros((3, 70, 90)), np.zeros((70, 90))
    network = _trained().build()
    for top in (0, 20, 38):
        for left in (0, 20, 40, 58):
            place = np.s_[top : top + 32, left : left + 32]
            window = torch.from_numpy(pixels[(slice(None), *place)].copy())[None].float() / 255
            with torch.no_grad():
                logits = network.segment(window)[0].double().numpy()
            total[(slice(None), *place)] += logits * side[:, None] * side
            sums[place] += side[:, None] * side
    expected = torch.from_numpy(total / sums).softmax(0).numpy()
    found = _read(tmp_path / "out" / "a_probabilities.tif")
    np.testing.assert_allclose(found, expected, atol=1e-4)
    classes = _read(tmp_path / "out" / "a_classes.tif")[0]
    ranked = np.sort(expected, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-3
    assert clear.mean() > 0.9
    assert np.array_equal(classes[clear], expected.argmax(0)[clear])


@pytest.mark.numbers
def test_the_result_lies_over_its_input_and_says_what_it_is(model, tmp_path):
    image = _write(tmp_path / "a.tif", _pixels(600, 700), **PLACE)
    options = ("--window", 512, "--overlap", 0, "--probabilities", "--reconstruction")
    assert _run(model, tmp_path / "out", image, *options) == 0
    with rasterio.open(image) as source:
        where = source.bounds, source.crs, source.transform, source.shape
    for name in ("classes", "probabilities", "reconstruction"):
        with rasterio.open(tmp_path / "out" / f"a_{name}.tif") as result:
            assert (result.bounds, result.crs, result.transform, result.shape) == where
            assert result.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert result.overviews(1) == [2]
            assert result.tags()["MODEL_TRIAL"] == "confirm-x-f1.00-s1"
            assert result.tags()["MODEL_STUDY"] == "harbour"
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as result:
        assert (result.dtypes, result.nodata, result.descriptions) == (("uint8",), 255, ("class",))
        colors = result.colormap(1)
        assert [colors[index][:3] for index in range(3)] == [one.color for one in CLASSES]
        assert [result.tags(1)[f"CLASS_{index}"] for index in range(3)] == ["land", "water", "wood"]
    with rasterio.open(tmp_path / "out" / "a_probabilities.tif") as result:
        assert result.dtypes == ("float32",) * 3
        assert np.isnan(result.nodata)
        assert result.descriptions == ("land", "water", "wood")
    with rasterio.open(tmp_path / "out" / "a_reconstruction.tif") as result:
        assert result.descriptions == ("red", "green", "blue")
        assert result.nodata is None
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "a_classes.tif", "a_classes.qml", "a_probabilities.tif", "a_reconstruction.tif",
    }  # fmt: skip


def test_polygons_are_the_class_map_with_its_confidence_and_styles(model, tmp_path, capsys):
    image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
    options = ("--window", 128, "--polygons", "--probabilities")
    assert _run(model, tmp_path / "out", image, *options) == 0
    assert [line.rpartition("/")[2] for line in capsys.readouterr().out.split()] == [
        "a_classes.tif", "a_probabilities.tif", "a_polygons.gpkg",
    ]  # fmt: skip
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "a_classes.tif", "a_classes.qml", "a_probabilities.tif", "a_polygons.gpkg",
        "a_polygons.qml",
    }  # fmt: skip
    (classes,) = _read(tmp_path / "out" / "a_classes.tif")
    frame = geopandas.read_file(tmp_path / "out" / "a_polygons.gpkg")
    names = [one.name for one in CLASSES]
    shapes = zip(frame.geometry, [names.index(name) for name in frame["class"]], strict=True)
    again = rasterize(shapes, classes.shape, transform=PLACE["transform"], dtype="uint8")
    np.testing.assert_array_equal(again, classes)
    highest = _read(tmp_path / "out" / "a_probabilities.tif").max(axis=0)
    weights = frame["area_m2"] / frame["area_m2"].sum()
    assert (frame["confidence"] * weights).sum() == pytest.approx(highest.mean(), abs=1e-5)


@pytest.mark.numbers
def test_tta_is_the_mean_over_turns_and_flips_of_the_image(model, tmp_path):
    image = _write(tmp_path / "a.tif", _pixels(80, 80), **PLACE)
    assert _run(model, tmp_path / "out", image, "--window", 80, "--overlap", 0, "--tta") == 0
    pixels, logits = _pixels(80, 80), []
    for flips in (False, True):
        for turns in range(4):
            seen = np.rot90(pixels[..., ::-1] if flips else pixels, turns, (1, 2)).copy()
            given = torch.rot90(_whole(_trained(), seen)[0], -turns, (1, 2))
            logits.append(given.flip(-1) if flips else given)
    mean = torch.stack(logits).mean(dim=0)
    _assert_classes(_read(tmp_path / "out" / "a_classes.tif")[0], mean)
    assert not np.array_equal(mean.argmax(0), logits[0].argmax(0))


@pytest.mark.parametrize("kind", ["nodata", "alpha", "mask"])
def test_pixels_without_data_get_no_class(model, tmp_path, kind):
    pixels, hidden = _pixels(), np.zeros((70, 90), bool)
    hidden[:40, :80] = True  # more than a window
    hidden[60, 85] = True
    options = ("--window", 32, "--probabilities", "--reconstruction")
    if kind == "nodata":
        pixels[:, hidden] = 7
        pixels[0, 50, 50] = 7  # one band alone is no hole
        image = _write(tmp_path / "a.tif", pixels, nodata=7, **PLACE)
    elif kind == "alpha":
        alpha = np.where(hidden, 0, 200).astype(np.uint8)
        image = _write(tmp_path / "a.tif", pixels, alpha, **PLACE)
    else:
        image = _write(tmp_path / "a.tif", pixels, **PLACE)
        with rasterio.open(image, "r+") as target:
            target.write_mask(~hidden)
    assert _run(model, tmp_path / "out", image, *options) == 0
    classes = _read(tmp_path / "out" / "a_classes.tif")[0]
    assert np.array_equal(classes == 255, hidden)
    probabilities = _read(tmp_path / "out" / "a_probabilities.tif")
    assert np.array_equal(np.isnan(probabilities), np.broadcast_to(hidden, (3, 70, 90)))
    with rasterio.open(tmp_path / "out" / "a_reconstruction.tif") as result:
        assert (result.read()[:, hidden] == (7 if kind == "nodata" else 0)).all()
        assert result.nodata == (7 if kind == "nodata" else None)


def test_the_last_of_four_trained_bands_hides_nothing(tmp_path):
    """Many tools call a fourth band alpha; zeros of near infrared are data all the same."""
    pixels = _pixels(num_bands=4)
    pixels[3, :20] = 0
    image = _write(tmp_path / "a.tif", pixels[:3], pixels[3], **PLACE)
    with rasterio.open(image) as source:
        assert source.colorinterp[3] == ColorInterp.alpha
    _trained(num_bands=4).save(tmp_path / "m.pt")
    assert _run(tmp_path / "m.pt", tmp_path / "out", image) == 0
    assert (_read(tmp_path / "out" / "a_classes.tif") < 3).all()


@pytest.mark.numbers
@pytest.mark.parametrize(("height", "width"), [(141, 183), (140, 182), (3, 5)])
def test_a_model_of_reduced_tiles_fills_the_whole_input(tmp_path, height, width):
    pixels = _pixels(height, width)
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    trained = _trained(downsample=2)
    trained.save(tmp_path / "m.pt")
    assert _run(tmp_path / "m.pt", tmp_path / "out", image, "--window", 128) == 0
    sums = pixels[:, : height // 2 * 2, : width // 2 * 2].astype(int)
    sums = sums.reshape(3, height // 2, 2, width // 2, 2).sum(axis=(2, 4))
    reduced = ((sums + 2) // 4).astype(np.uint8)  # rounded half up
    small = _whole(trained, reduced)[0]
    rows = np.minimum(np.arange(height) // 2, height // 2 - 1)
    columns = np.minimum(np.arange(width) // 2, width // 2 - 1)
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as result:
        _assert_classes(result.read(1), small[:, rows][:, :, columns])
        assert result.transform == PLACE["transform"]


def test_the_trailing_rows_of_a_reduced_model_know_their_holes(tmp_path):
    """The leftover row has data while all blocks above it are hidden."""
    pixels = _pixels(129, 131)
    pixels[:, :128, :] = 0
    image = _write(tmp_path / "a.tif", pixels, nodata=0, **PLACE)
    _trained(downsample=2).save(tmp_path / "m.pt")
    options = ("--window", 32, "--overlap", 0, "--probabilities")
    assert _run(tmp_path / "m.pt", tmp_path / "out", image, *options) == 0
    classes = _read(tmp_path / "out" / "a_classes.tif")[0]
    assert (classes[:128] == 255).all()
    assert (classes[128] < 3).all()
    last = _read(tmp_path / "out" / "a_probabilities.tif")[:, 128]
    assert np.abs(last - 1 / 3).max() > 1e-3  # of the network, not of logits that are all 0


def test_rows_are_read_reduced_whatever_the_strips(tmp_path):
    pixels = _pixels(43, 57)
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    for downsample in (1, 2, 5):
        expected, _ = reduce_image(pixels, None, downsample)
        with open_raster(RasterAddress(str(image)), _trained(downsample=downsample)) as raster:
            height = raster.height_px
            parts = [raster.read(0, 3), raster.read(3, height)]
        assert np.array_equal(np.concatenate([part for part, _ in parts], axis=1), expected)
        assert all(shown.all() for _, shown in parts)


def test_hidden_pixels_count_in_no_mean(tmp_path):
    pixels = np.full((3, 4, 5), 100, np.uint8)
    pixels[:, 0, 0] = pixels[:, 2:, :2] = 0
    image = _write(tmp_path / "a.tif", pixels, nodata=0, **PLACE)
    with open_raster(RasterAddress(str(image)), _trained(downsample=2)) as raster:
        reduced, shown = raster.read(0, 2)
    assert shown.tolist() == [[True, True], [False, True]]
    assert (reduced == [[100, 100], [0, 100]]).all()


UINT16 = BandScaling(
    dtype="uint16", low=(200.0, 150.0, 100.0, 300.0), high=(4000.0, 5000.0, 6000.0, 9000.0)
)
FLOAT32 = BandScaling(dtype="float32", low=(-1.0, 0.0, 0.5), high=(1.0, 2.0, 8.0))


def _uint16_cog(folder):
    """Four bands, with a hidden corner, as satellite scenes have."""
    pixels = np.random.default_rng(3).integers(1, 12_000, (4, 140, 150), dtype=np.uint16)
    hidden = np.zeros((140, 150), bool)
    hidden[:70, :90] = True
    pixels[:, hidden] = 0
    pixels[1, 100, 100] = 0  # one dark band is no hole
    return _write(folder / "a.tif", pixels, driver="COG", nodata=0, **PLACE), pixels, hidden


def _float32_tiff(folder):
    """Three bands with scattered nodata, in one band alone too, and values that are not finite."""
    random = np.random.default_rng(4)
    pixels = random.normal(1, 2, (3, 140, 150)).astype(np.float32)
    pixels[random.random(pixels.shape) < 0.02] = -9999
    pixels[2, 90, 20], pixels[0, 91, 21] = np.nan, np.inf
    hidden = ((pixels == -9999) | ~np.isfinite(pixels)).any(axis=0)
    return _write(folder / "a.tif", pixels, nodata=-9999, **PLACE), pixels, hidden


@pytest.mark.numbers
@pytest.mark.parametrize(
    ("make", "scaling", "nodata"), [(_uint16_cog, UINT16, 0), (_float32_tiff, FLOAT32, -9999)]
)
def test_wider_types(tmp_path, make, scaling, nodata):
    image, pixels, hidden = make(tmp_path)
    trained = _trained(num_bands=len(pixels), scaling=scaling)
    trained.save(tmp_path / "m.pt")
    options = ("--window", 192, "--probabilities", "--reconstruction")
    assert _run(tmp_path / "m.pt", tmp_path / "out", image, *options) == 0
    files = sorted((tmp_path / "out").glob("*.tif"))
    with rasterio.open(image) as source:
        place = source.bounds, source.crs, source.shape
    for file in files:
        with rasterio.open(file) as result:
            assert (result.bounds, result.crs, result.shape) == place

    low, high = (np.array(ends)[:, None, None] for ends in (scaling.low, scaling.high))
    scaled = ((np.where(hidden, 0, pixels) - low) / (high - low)).clip(0, 1).astype(np.float32)
    with torch.no_grad():
        expected = trained.build()(torch.from_numpy(scaled)[None])
    logits, rebuilt = expected.logits[0].numpy(), expected.reconstruction[0].numpy()
    classes = _read(tmp_path / "out" / "a_classes.tif")[0]
    assert np.array_equal(classes == 255, hidden)
    assert (classes[~hidden] == logits.argmax(0)[~hidden]).mean() > 0.999
    probabilities = _read(tmp_path / "out" / "a_probabilities.tif")
    assert np.array_equal(np.isnan(probabilities), np.broadcast_to(hidden, probabilities.shape))
    with rasterio.open(tmp_path / "out" / "a_reconstruction.tif") as result:
        assert (set(result.dtypes), result.nodata) == ({scaling.dtype}, nodata)
        found = result.read()
    assert (found[:, hidden] == nodata).all()
    in_units = (rebuilt * (high - low) + low)[:, ~hidden]
    if scaling.dtype == "uint16":
        in_units = in_units.round().clip(0, 65_535)
    tolerance = 1 if scaling.dtype == "uint16" else 1e-3
    np.testing.assert_allclose(found[:, ~hidden].astype(float), in_units, atol=tolerance)

    before = [file.read_bytes() for file in files]
    assert _run(tmp_path / "m.pt", tmp_path / "out", image, *options) == 0
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("downsample", [1, 2])
@pytest.mark.parametrize("nodata", [None, float("nan")])
def test_float32_with_nan_alone(tmp_path, nodata, downsample):
    _, pixels, hidden = _float32_tiff(tmp_path)
    pixels[:, hidden] = np.nan
    image = _write(tmp_path / "b.tif", pixels, nodata=nodata, **PLACE)
    _trained(scaling=FLOAT32, downsample=downsample).save(tmp_path / "m.pt")
    options = ("--window", 32, "--reconstruction")
    assert _run(tmp_path / "m.pt", tmp_path / "out", image, *options) == 0
    assert np.array_equal(_read(tmp_path / "out" / "b_classes.tif")[0] == 255, hidden)
    with rasterio.open(tmp_path / "out" / "b_reconstruction.tif") as result:
        assert np.isnan(result.nodata)
        found = np.isnan(result.read())
    assert np.array_equal(found, np.broadcast_to(hidden, found.shape))


@pytest.mark.parametrize(
    ("scaling", "nodata", "expected", "fill"),
    [
        (uint8_scaling(3), None, None, 0),
        (uint8_scaling(3), 255.0, 255.0, 255),
        (uint8_scaling(3), 256.0, None, 0),
        (uint8_scaling(3), -1.0, None, 0),
        (uint8_scaling(3), 0.5, None, 0),
        (uint8_scaling(3), np.nan, None, 0),
        (uint8_scaling(3), np.inf, None, 0),
        (FLOAT32, None, np.nan, np.nan),
        (FLOAT32, np.nan, np.nan, np.nan),
        (FLOAT32, 0.0, 0.0, 0),
        (FLOAT32, -1e308, np.nan, np.nan),
        (FLOAT32, -np.inf, np.nan, np.nan),
    ],
)
def test_nodata_of_a_reconstruction_is_one_that_its_type_can_hold(scaling, nodata, expected, fill):
    layer = reconstruction_layer(_trained(scaling=scaling), nodata)
    np.testing.assert_equal(layer.content.nodata, expected)
    np.testing.assert_equal(layer.fill, fill)


@pytest.mark.numbers
def test_a_raster_smaller_than_a_window(model, tmp_path):
    pixels = _pixels(20, 11)
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    assert _run(model, tmp_path / "out", image) == 0
    _assert_classes(_read(tmp_path / "out" / "a_classes.tif")[0], _whole(_trained(), pixels)[0])


def test_the_same_image_twice_gives_the_same_file(model, tmp_path, capsys):
    image = _write(tmp_path / "a.tif", _pixels(150, 130), **PLACE)
    out = tmp_path / "out"
    files = [out / f"a_{name}.tif" for name in ("classes", "probabilities", "reconstruction")]
    contents = []
    for _ in range(2):
        assert _run(model, out, image, "--probabilities", "--reconstruction") == 0
        assert capsys.readouterr().out.splitlines() == [str(file) for file in files]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_images_without_reference_system(model, tmp_path, ending):
    driver = {"png": "PNG", "jpg": "JPEG"}[ending]
    image = _write(tmp_path / f"a.{ending}", _pixels(), driver=driver)
    assert _run(model, tmp_path / "out", image) == 0
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as result:
        assert (result.driver, result.crs, result.shape) == ("GTiff", None, (70, 90))
        assert result.transform.is_identity
        assert (result.read() < 3).all()


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_image_is_mapped_as_a_viewer_shows_it(model, tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    picture = Image.fromarray(np.moveaxis(_pixels(), 0, -1))
    picture.save(tmp_path / "turned.png", exif=exif)
    ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")).save(tmp_path / "shown.png")
    assert _run(model, tmp_path / "out", tmp_path / "turned.png", tmp_path / "shown.png") == 0
    turned, shown = (
        _read(tmp_path / "out" / f"{name}_classes.tif") for name in ("turned", "shown")
    )
    assert np.array_equal(turned, shown)


def test_what_dataset_yaml_called_nodata_has_no_class(tmp_path):
    """The file of the image need not say it."""
    trained = replace(_trained(scaling=FLOAT32), nodata=(None, -9999.0, None))
    trained.save(tmp_path / "m.pt")
    assert TrainedModel.load(tmp_path / "m.pt").nodata == (None, -9999.0, None)
    pixels = _pixels().astype(np.float32)
    pixels[1, 3, 4] = pixels[0, 5, 6] = -9999
    image = _write(tmp_path / "a.tif", pixels, **PLACE)
    assert _run(tmp_path / "m.pt", tmp_path / "out", image) == 0
    (classes,) = _read(tmp_path / "out" / "a_classes.tif")
    assert np.argwhere(classes == 255).tolist() == [[3, 4]]


def test_a_model_of_float32_maps_int16(tmp_path):
    _trained(scaling=FLOAT32).save(tmp_path / "m.pt")
    pixels = _pixels()
    for name, dtype in (("a", "float32"), ("b", "int16")):
        image = _write(tmp_path / f"{name}.tif", pixels.astype(dtype), **PLACE)
        assert _run(tmp_path / "m.pt", tmp_path / "out", image) == 0
    one, other = (_read(tmp_path / "out" / f"{name}_classes.tif") for name in "ab")
    assert np.array_equal(one, other)


def test_ground_control_points_are_kept(model, tmp_path):
    points = [
        GroundControlPoint(row=row, col=column, x=7 + column / 1e4, y=50 - row / 1e4)
        for row, column in ((0, 0), (0, 90), (70, 0), (70, 90))
    ]
    image = _write(tmp_path / "a.tif", _pixels(), gcps=points, crs="EPSG:4326")
    assert _run(model, tmp_path / "out", image) == 0
    with rasterio.open(tmp_path / "out" / "a_classes.tif") as result:
        found, crs = result.gcps
        assert crs == rasterio.CRS.from_epsg(4326)
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]


def test_window_and_overlap_are_the_models_by_default():
    trained = _trained(window_px=64, step_px=48)

    def sizes(*arguments):
        options = predict._parse(["--model", "m", "--out", "o", "a.tif", *arguments])
        config = predict._config(options, trained)
        return config.window_px, config.overlap_px

    assert sizes() == (64, 16)
    assert sizes("--window", "100") == (100, 50)
    assert sizes("--overlap", "20") == (64, 20)
    assert sizes("--window", "100", "--overlap", "0") == (100, 0)


class TestRefused:
    @pytest.fixture
    def refused(self, model, tmp_path, capsys):
        def run(*arguments, model=model, out=tmp_path / "out"):
            assert _run(model, out, *arguments) == 2
            captured = capsys.readouterr()
            assert captured.out == ""
            assert captured.err.count("\n") == 1 + captured.err.count("\n  ")
            assert captured.err.startswith("trainables.predict: ")
            assert not list((tmp_path / "out").glob("*"))
            return captured.err

        return run

    def test_images_that_do_not_fit_before_any_is_predicted(self, refused, tmp_path):
        good = _write(tmp_path / "good.tif", _pixels(), **PLACE)
        bands = _write(tmp_path / "bands.tif", _pixels(num_bands=2), **PLACE)
        wide = _write(tmp_path / "wide.tif", _pixels().astype(np.uint16), **PLACE)
        (tmp_path / "text.tif").write_text("no raster")
        message = refused(good, bands, wide, tmp_path / "text.tif", tmp_path / "none.tif")
        assert f"must have the 3 bands red, green, blue, got 2 in {bands}" in message
        assert f"image must be uint8, as in training, got uint16 in {wide}" in message
        assert message.count("file must be a readable raster") == 2

    def test_a_fourth_band_that_is_not_alpha(self, refused, tmp_path):
        image = _write(tmp_path / "a.tif", _pixels(num_bands=4), photometric="MINISBLACK", **PLACE)
        assert "got 4" in refused(image)

    def test_all_that_is_wrong_with_an_image(self, refused, tmp_path):
        _trained(downsample=8, scaling=FLOAT32).save(tmp_path / "m.pt")
        image = _write(tmp_path / "a.tif", _pixels(7, 90, 2), **PLACE)
        message = refused(image, model=tmp_path / "m.pt")
        assert "got 2; image must be of a type that is read as float32, as in training" in message
        assert (
            f"at least 8 px high and wide, the downsample of the model, got 90 x 7 px in {image}"
            in message
        )

    def test_an_image_below_a_block(self, refused, tmp_path):
        _trained(downsample=8).save(tmp_path / "m.pt")
        image = _write(tmp_path / "a.tif", _pixels(7, 90), **PLACE)
        assert "at least 8 px high and wide" in refused(image, model=tmp_path / "m.pt")

    def test_an_image_that_breaks_off(self, refused, tmp_path):
        image = _write(tmp_path / "a.tif", _pixels(300, 300), **PLACE)
        with image.open("r+b") as file:
            file.truncate(100_000)
        assert "file must be a readable raster, got: " in (message := refused(image))
        assert str(image) in message

    def test_two_images_of_one_name(self, refused, tmp_path):
        (tmp_path / "b").mkdir()
        images = [_write(tmp_path / name, _pixels(), **PLACE) for name in ("a.tif", "b/A.tif")]
        assert "images must have distinct names" in refused(*images)

    def test_overwriting_an_input(self, refused, tmp_path):
        first = _write(tmp_path / "a.tif", _pixels(), **PLACE)
        second = _write(tmp_path / "a_classes.tif", _pixels(), **PLACE)
        before = second.read_bytes()
        (tmp_path / "link").symlink_to(tmp_path)
        message = refused(first, second, out=tmp_path / "link")
        assert (
            f"--out must not overwrite an input, got {tmp_path / 'link' / second.name}" in message
        )
        assert second.read_bytes() == before

    def test_reconstruction_of_unet(self, refused, tmp_path):
        _trained("unet").save(tmp_path / "m.pt")
        image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
        message = refused(image, "--reconstruction", model=tmp_path / "m.pt")
        assert "--reconstruction must be left out for unet" in message

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("--window", 8), "--window must be at least 32, got 8"),
            (("--overlap", 64), "--overlap must be in 0 ... 63 (below the window), got 64"),
            (("--overlap", -1), "--overlap must be in 0"),
        ],
    )
    def test_sizes_out_of_range(self, refused, tmp_path, arguments, text):
        assert text in refused(_write(tmp_path / "a.tif", _pixels(), **PLACE), *arguments)

    def test_cuda_without_gpu(self, refused, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert "--device must be cpu" in refused(tmp_path / "a.tif", "--device", "cuda")

    def test_sizes_of_polygons_that_cannot_be(self, refused, tmp_path):
        image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
        assert "--min-area is about polygons" in refused(image, "--min-area", 3)
        assert "--simplify must be 0 or more" in refused(image, "--polygons", "--simplify", -1)
        assert "--min-area must be 0 or more" in refused(image, "--polygons", "--min-area", "nan")

    def test_out_is_a_file(self, refused, tmp_path):
        image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
        assert "--out must be a folder, got the file" in refused(image, out=image)


def test_outputs_that_are_not_finite_leave_the_older_result(model, tmp_path, monkeypatch, capsys):
    image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
    assert _run(model, tmp_path / "out", image) == 0
    result = tmp_path / "out" / "a_classes.tif"
    before = result.read_bytes()
    real = raster_prediction.overlap_add

    def spoiled(*args, **kwargs):
        for top, bottom, values in real(*args, **kwargs):
            values[0, 0, 0] = torch.nan
            yield top, bottom, values

    monkeypatch.setattr(raster_prediction, "overlap_add", spoiled)
    assert _run(model, tmp_path / "out", image) == 2
    assert "outputs of the model must be finite" in capsys.readouterr().err
    assert result.read_bytes() == before
    assert sorted(result.parent.iterdir()) == [result.with_suffix(".qml"), result]


def test_a_disk_that_is_full_is_no_class_map(model, tmp_path, monkeypatch, capsys):
    image = _write(tmp_path / "a.tif", _pixels(), **PLACE)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(raster_output.raster_files, "copy", full)
    assert _run(model, tmp_path / "out", image) == 2
    message = capsys.readouterr().err
    assert "output must be writable, got: [Errno 28] No space left on device" in message
    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_was_cut_off_when_it_was_closed_is_no_class_map(
    model, tmp_path, monkeypatch, capsys
):
    """On a disk that filled up last of all a map without half of its tiles was called written."""
    image = _write(tmp_path / "a.tif", _pixels(), **PLACE)
    copy = raster_output.raster_files.copy

    def cut_off(source, target, **options):
        copy(source, target, **options)
        os.truncate(target, target.stat().st_size - 40)

    monkeypatch.setattr(raster_output.raster_files, "copy", cut_off)
    assert _run(model, tmp_path / "out", image) == 2
    assert "output must be writable, got: " in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


class TestModel:
    def test_a_file_or_the_folder_of_a_trial(self, model):
        for given in (model, model.parent):
            assert predict.load_trained(str(given)).trial_key == "confirm-x-f1.00-s1"

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda folder: None, "take a confirmation trial that has finished"),
            (
                lambda folder: _trained().save(folder / "trials" / "confirm-a" / "model.pt"),
                "choose a trial that kept its model, such as confirm-a",
            ),
        ],
    )
    def test_a_folder_without_model(self, tmp_path, make, text):
        folder = tmp_path / "study"
        folder.mkdir()
        make(folder)
        with pytest.raises(predict.DataError, match=text):
            predict.load_trained(str(folder))

    def test_nothing_of_that_name(self):
        with pytest.raises(predict.DataError, match="got 'nowhere'; there is no such file"):
            predict.load_trained("nowhere")

    def test_a_database_is_not_created(self, tmp_path):
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        with pytest.raises(predict.DataError, match=r"--tracking-uri must be .* does not exist"):
            predict.load_trained("0" * 32, uri)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("uri", "said"),
        [
            ("http://me:s3cret@127.0.0.1:9", "in http://127.0.0.1:9: connection refused; check"),
            ("postgresql://me:s3cret@h/db", "in postgresql://h/db: no module psycopg; install"),
            ("ftp://me:s3cret@host", "a kind of store that MLflow does not know; write https://"),
        ],
    )
    def test_a_store_that_cannot_be_used_is_one_line(self, uri, said, monkeypatch, capsys):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setitem(sys.modules, "psycopg", None)
        words = ["--model", "0" * 32, "--out", "o", "--tracking-uri", uri, "a.tif"]
        assert predict.main(words) == 2
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
        assert "s3cret" not in told

    def test_a_mistyped_option_is_refused_without_its_login(self, capsys):
        with pytest.raises(SystemExit):
            predict.main(["--model", "m", "--out", "o", "--tracking-urii=http://me:s3cret@h", "a"])
        told = capsys.readouterr().err
        assert "--tracking-urii=http://h" in told
        assert "s3cret" not in told


class FakeClient:
    """The four calls to MLflow, over runs given as plain data."""

    runs: dict[str, SimpleNamespace]
    artifacts: dict[str, str]

    def __init__(self, tracking_uri):
        assert tracking_uri == "http://server"

    def get_run(self, run_id):
        return self.runs[run_id]

    def list_artifacts(self, run_id):
        return [SimpleNamespace(path=name) for name in self.artifacts]

    def download_artifacts(self, run_id, path, folder):
        return self.artifacts[path]


@pytest.mark.parametrize("prefix", ["", "runs:/"])
@pytest.mark.parametrize("way", ["artifact", "tag", "parent", "earlier", "nothing"])
def test_a_run_leads_to_its_model(model, tmp_path, monkeypatch, way, prefix):
    import mlflow.tracking

    child, parent = "a" * 32, "b" * 32
    tags = {"mlflow.parentRunId": parent, "trial_key": model.parent.name, "phase": "confirm"}
    params = {}
    if way == "tag":
        tags["trial_folder"] = str(model.parent)
    if way == "parent":
        (tmp_path / "studies" / "harbour").mkdir(parents=True)
        (tmp_path / "studies" / "harbour" / "trials").symlink_to(tmp_path)
        params = {"output": str(tmp_path / "studies"), "name": "harbour"}
    runs = {
        child: SimpleNamespace(data=SimpleNamespace(tags=tags, params={}), outputs=None),
        parent: SimpleNamespace(data=SimpleNamespace(tags={}, params=params)),
    }
    monkeypatch.setattr(mlflow.tracking, "MlflowClient", FakeClient)
    monkeypatch.setattr(FakeClient, "runs", runs, raising=False)
    found = {"model.pt": str(model)} if way == "artifact" else {"result.json": ""}
    if way == "earlier":
        tags["mlflow.log-model.history"] = "[]"
        found["model/data/model.pt"] = str(model)
    monkeypatch.setattr(FakeClient, "artifacts", found, raising=False)
    if way == "nothing":
        with pytest.raises(
            predict.DataError, match=r"without the artifact model\.pt, without a known folder"
        ):
            predict.load_trained(prefix + child, "http://server")
    else:
        assert predict.load_trained(prefix + child, "http://server").study == "harbour"


SERVER = """
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        super().do_GET() if "token=SECRET" in self.path else self.send_error(403)
    def do_HEAD(self):
        super().do_HEAD() if "token=SECRET" in self.path else self.send_error(403)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def site(tmp_path):
    """Where the files of a folder are served to who has the token; in a process of its own."""
    (tmp_path / "site").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=tmp_path / "site", stdout=subprocess.PIPE, text=True
    ) as server:
        yield tmp_path / "site", f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


def test_urls_lost_a_slash(model, site, tmp_path, capfd):
    folder, url = site
    pixels = _pixels(40, 50)
    _write(folder / "b c.tif", pixels, **PLACE)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "b c.tif", "in/d.tif")
    assert _run(model, tmp_path / "local", folder / "b c.tif") == 0
    expected = _read(tmp_path / "local" / "b c_classes.tif")
    key = "?token=SECRET&x=a/b.png"
    for number, (address, stem) in enumerate(
        [
            (f"{url}/b%20c.tif{key}", "b c"),
            (f"/vsicurl/{url}/b%20c.tif{key}", "b c"),
            (f"/vsizip/{{/vsicurl/{url}/a.zip{key}}}/in/d.tif", "d"),
        ]
    ):
        out = tmp_path / f"out{number}"
        assert _run(model, out, address) == 0, capfd.readouterr().err
        assert [file.name for file in out.glob("*.tif")] == [f"{stem}_classes.tif"]
        assert np.array_equal(_read(out / f"{stem}_classes.tif"), expected)
    (folder / "text.tif").write_text("no raster")
    capfd.readouterr()
    for address in (f"{url}/none.tif{key}", f"{url}/text.tif{key}", f"{url}/b.tif?token=SECRETS"):
        assert _run(model, tmp_path / "no", address) == 2
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1
        assert address.partition("?")[0] in said
        assert "SECRET" not in said


def test_a_bucket_is_read_without_a_library_for_its_credentials(
    model, tmp_path, bucket_apart, monkeypatch, capfd
):
    """rasterio's own way needs boto3, and does not know AWS_ENDPOINT_URL."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    root, server = bucket_apart
    local = _write(tmp_path / "b c.tif", _pixels(40, 50), **PLACE)
    with server.open_output_stream(f"{root[5:]}/in/b c.tif") as target:
        target.write(local.read_bytes())
    assert _run(model, tmp_path / "local", local) == 0
    assert _run(model, tmp_path / "out", f"{root}/in/b c.tif") == 0, capfd.readouterr().err
    expected = _read(tmp_path / "local" / "b c_classes.tif")
    assert np.array_equal(_read(tmp_path / "out" / "b c_classes.tif"), expected)
    capfd.readouterr()
    assert _run(model, tmp_path / "no", f"{root}/none.tif") == 2
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"{root}/none.tif" in said
    assert not (tmp_path / "no").exists()


def test_a_virtual_mosaic_is_one_raster_and_what_it_lacks_has_no_class(model, tmp_path, capfd):
    pixels = _pixels(40, 90)
    left = _write(tmp_path / "left.tif", pixels[:, :, :50], **PLACE)
    _write(tmp_path / "right.tif", pixels[:, :, 50:], **PLACE)
    whole = pixels.copy()
    whole[:, 20:, 50:] = 0
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>0</NoDataValue>'
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="{width}" '
            f'ySize="{height}"/><DstRect xOff="{first}" yOff="0" xSize="{width}" '
            f'ySize="{height}"/></SimpleSource>'
            for name, first, width, height in (("left", 0, 50, 40), ("right", 50, 40, 20))
        )
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    with rasterio.open(left) as source:
        transform = ", ".join(map(str, source.transform.to_gdal()))
    vrt = tmp_path / "all.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="90" rasterYSize="40"><SRS>EPSG:25832</SRS>'
        f"<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>"
    )
    _write(tmp_path / "one.tif", whole, nodata=0, **PLACE)
    assert _run(model, tmp_path / "out", vrt, tmp_path / "one.tif", "--polygons") == 0
    found = _read(tmp_path / "out" / "all_classes.tif")
    assert np.array_equal(found, _read(tmp_path / "out" / "one_classes.tif"))
    assert (found[0, 20:, 50:] == 255).all()
    (tmp_path / "right.tif").unlink()
    capfd.readouterr()
    assert _run(model, tmp_path / "no", vrt) == 2
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert "right.tif" in said


def test_archives_are_read_as_they_are_written(model, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "b.tif", _pixels(40, 50), **PLACE)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write("b.tif")
        archive.write("b.tif", "in/c?x.tif")
    assert _run(model, "out", "b.tif") == 0
    expected = _read(tmp_path / "out" / "b_classes.tif")
    for address, stem in (
        (f"/vsizip/{tmp_path}/a.zip/b.tif", "b"),
        (f"/vsizip/{{{tmp_path}/a.zip}}/b.tif", "b"),
        ("/vsizip/a.zip/in/c?x.tif", "c?x"),
        ("zip://a.zip!/b.tif", "b"),
        (f"zip://{tmp_path}/a.zip!/b.tif", "b"),
        (f"file://{tmp_path}/b.tif", "b"),
        ("GTIFF_DIR:1:b.tif", "GTIFF_DIR:1:b"),
    ):
        out = tmp_path / stem / str(len(address))
        assert _run(model, out, address) == 0, capfd.readouterr().err
        assert np.array_equal(_read(out / f"{stem}_classes.tif"), expected)
    capfd.readouterr()
    for address in (
        "/vsizip/a.zip/none.tif", "zip://none.zip!/b.tif", "s3:///", "nonsense://x/y.tif",
        "/vsinone/b.tif", "http://127.0.0.1:1/x.tif", "https:///", "zip://a.zip!/", "none.tif",
    ):  # fmt: skip
        assert _run(model, tmp_path / "no", address) == 2, address
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1 + said.count("\n  "), said
        assert address in said


def test_a_file_whose_name_looks_like_a_url_is_that_file(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("zip:b.tif", "what?x=1.tif", "A:1.tif", "50% #1 {a}.tif"):
        _write(tmp_path / "b.tif", _pixels(40, 50), **PLACE).rename(tmp_path / name)
        assert _run(model, "out", name) == 0
        assert (tmp_path / "out" / f"{name[:-4]}_classes.tif").is_file()


@pytest.mark.parametrize("name", [os.fsdecode(b"a\xe9"), "a\nb", "a\tb"])
@pytest.mark.parametrize("place", ["image", "out", "model", "folder"])
def test_names_that_cannot_be_told_were_a_traceback(model, tmp_path, name, place, capfd):
    folder = tmp_path / name
    folder.mkdir()
    image = _write(tmp_path / "a.tif", _pixels(40, 50), **PLACE)
    image = image.rename(tmp_path / f"{name}.tif" if place == "image" else folder / "a.tif")
    if place in ("out", "model"):
        image = image.rename(tmp_path / "a.tif")
    if place == "model":
        model = model.rename(folder / "model.pt")
    assert _run(model, folder if place == "out" else tmp_path / "out", image) == 2
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert "must have a name in UTF-8 without control characters" in said
