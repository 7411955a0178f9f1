import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from trainables.data.decoding.raster import (
    ImageReader,
    Raster,
    open_file,
)
from trainables.errors import DataError

BANDS = ("red", "green", "blue")
PLACE = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.1, 0.1)}


def _write(path, bands, alpha=None, mask=None, **profile):
    bands = bands if alpha is None else np.concatenate([bands, alpha[None].astype(bands.dtype)])
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "dtype": bands.dtype.name, **PLACE, **profile}
    with rasterio.open(path, "w", width=width, height=height, count=count, **profile) as target:
        if alpha is not None:
            colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
            target.colorinterp = [*colors, ColorInterp.alpha]
        target.write(bands)
        if mask is not None:
            target.write_mask(mask)
    return path


def _image(dtype="uint8", num_bands=3):
    random = np.random.default_rng(0)
    return random.integers(1, 200, (num_bands, 6, 8)).astype(dtype)


def _read(path, bands=BANDS):
    """Image, hidden and whether anything could be hidden, of the whole file."""
    with open_file(path) as source:
        reader = ImageReader(source, bands)
        assert reader.problems() == []
        image, hidden = reader.read(0, source.height_px)
        again = reader.hidden(0, source.height_px)
        assert (hidden is None and again is None) or np.array_equal(hidden, again)
        return image, hidden, reader.may_hide


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_raster_without_nodata_is_all_shown(tmp_path, dtype):
    image = _image(dtype)
    image[:, 0, 0] = 0
    found, hidden, may_hide = _read(_write(tmp_path / "a.tif", image))
    assert found.dtype == dtype
    assert np.array_equal(found, image)
    assert (hidden, may_hide) == (None, False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_whole_numbers_are_hidden_where_all_bands_are_nodata(tmp_path, dtype):
    image = _image(dtype)
    image[:, 2, 3] = 7
    image[1, 4, 4] = 7  # one band alone is a dark pixel
    found, hidden, may_hide = _read(_write(tmp_path / "a.tif", image, nodata=7))
    assert may_hide
    assert np.argwhere(hidden).tolist() == [[2, 3]]
    assert (found[:, 2, 3] == 0).all()
    assert found[1, 4, 4] == 7


@pytest.mark.parametrize("nodata", [-9999.0, float("nan"), None])
def test_float32_is_hidden_where_any_band_is_nodata_or_not_finite(tmp_path, nodata):
    image = _image("float32")
    expected = []
    if nodata is not None:
        image[0, 1, 1] = nodata
        expected.append([1, 1])
    image[2, 3, 5] = np.nan
    image[1, 4, 6] = -np.inf
    found, hidden, _ = _read(_write(tmp_path / "a.tif", image, nodata=nodata))
    assert np.argwhere(hidden).tolist() == [*expected, [3, 5], [4, 6]]
    assert (found[:, hidden] == 0).all()
    assert np.array_equal(found[:, ~hidden], image[:, ~hidden])


def test_alpha_of_0_hides_and_is_no_band(tmp_path):
    alpha = np.full((6, 8), 255, np.uint8)
    alpha[0, :3], alpha[5, 5] = 0, 1
    found, hidden, _ = _read(_write(tmp_path / "a.tif", _image(), alpha))
    assert len(found) == 3
    assert np.array_equal(hidden, alpha == 0)


def test_a_declared_band_that_calls_itself_alpha_hides_nothing(tmp_path):
    alpha = np.zeros((6, 8), np.uint8)
    found, hidden, _ = _read(_write(tmp_path / "a.tif", _image(), alpha), (*BANDS, "nir"))
    assert hidden is None
    assert (found[3] == 0).all()


def test_a_mask_of_the_file_hides(tmp_path):
    mask = np.ones((6, 8), bool)
    mask[2:4, 1] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = _write(tmp_path / "a.tif", _image(), mask=mask)
    found, hidden, _ = _read(path)
    assert np.array_equal(hidden, ~mask)
    assert (found[:, ~mask] == 0).all()


def test_rows_of_a_strip_are_those_of_the_whole(tmp_path):
    image = _image("float32")
    image[1, 3, 4] = -1
    path = _write(tmp_path / "a.tif", image, nodata=-1)
    whole, hidden, _ = _read(path)
    with open_file(path) as source:
        reader = ImageReader(source, BANDS)
        assert reader.hidden(0, 3) is None
        part, part_hidden = reader.read(2, 5)
    assert np.array_equal(part, whole[:, 2:5])
    assert np.array_equal(part_hidden, hidden[2:5])


@pytest.mark.parametrize(
    ("image", "dtype", "expected"),
    [
        (_image(num_bands=2), None, ["image must have the 3 bands red, green, blue, got 2"]),
        (_image("int16"), None, []),
        (_image("uint16"), "uint16", []),
        (_image("uint8"), "uint16", ["image must be uint16, as in training, got uint8"]),
        (_image("float64"), "float32", []),
        (
            _image("uint8"),
            "float32",
            ["image must be of a type that is read as float32, as in training, got uint8"],
        ),
    ],
)
def test_bands_that_cannot_be_used(tmp_path, image, dtype, expected):
    with open_file(_write(tmp_path / "a.tif", image)) as source:
        assert ImageReader(source, BANDS).problems(dtype) == expected


def test_a_type_that_numpy_does_not_know_is_named(tmp_path):
    path = _write(tmp_path / "a.tif", _image("complex64"), dtype="complex_int16")
    with open_file(path) as source:
        (problem,) = ImageReader(source, BANDS).problems()
    assert problem == "image must hold whole or real numbers, got complex_int16"


class _Container:
    """A raster that holds others and no band of its own, as HDF and netCDF files are."""

    name, driver, height, width, count = "a.nc", "netCDF", 512, 512, 0
    dtypes, colorinterp, mask_flag_enums, nodatavals = (), (), (), ()
    transform, gcps = Affine.identity(), ([], None)

    def tags(self):
        return {}


def test_a_container_without_bands_is_no_crash():
    problems = ImageReader(Raster(_Container()), BANDS).problems()
    assert problems == ["image must have the 3 bands red, green, blue, got 0"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "tiled.tif"])
def test_a_file_that_breaks_off_is_no_grey_image(tmp_path, ending):
    """Decoders fill in what is missing, and say so at most in a warning."""
    path = tmp_path / f"a.{ending}"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 256, 256), dtype=np.uint8)
    if ending == "tiled.tif":
        _write(path, pixels, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    else:
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    with open_file(path) as source:  # the whole file is fine
        ImageReader(source, BANDS).read(0, 256)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for rows in ((0, 256), (128, 256)):
        with (
            pytest.raises(DataError, match="file must be a readable raster, got: ") as error,
            open_file(path) as source,
        ):
            ImageReader(source, BANDS).read(*rows)
        assert f"in {path}; copy or export it again" in str(error.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    for name in ("text.tif", "none.tif"):
        with (
            pytest.raises(DataError, match=f"file must be a readable raster, got: .*{name}"),
            open_file(tmp_path / name),
        ):
            pass


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nodata", [float("inf"), float("-inf"), -1.7976931348623157e308])
def test_infinite_nodata_hid_every_pixel(tmp_path, dtype, nodata):
    image = _image(dtype)
    with np.errstate(over="ignore"):
        image[1, 2, 3] = np.array(nodata, "float64").astype(dtype)
    path = _write(tmp_path / "a.tif", image)
    with open_file(path) as raster:
        _, hidden = ImageReader(raster, BANDS, (nodata,) * 3).read(0, 6)
    assert np.argwhere(hidden).tolist() == [[2, 3]]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_a_nodata_value_that_no_float_holds_hides(tmp_path, dtype):
    highest, kind = np.iinfo(dtype).max, {"uint64": "UInt64", "int64": "Int64"}[dtype]
    image = _image(dtype, num_bands=1)
    image[0, 1, 2] = highest
    _write(tmp_path / "a.tif", image)
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="8" rasterYSize="6"><VRTRasterBand dataType="{kind}" band="1">'
        f"<NoDataValue>{highest}</NoDataValue><SimpleSource><SourceFilename relativeToVRT='1'>a.tif"
        "</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with open_file(tmp_path / "a.vrt") as raster:
        _, hidden = ImageReader(raster, ("a",)).read(0, 6)
    assert np.argwhere(hidden).tolist() == [[1, 2]]


def test_a_mask_beside_a_file_that_is_none_is_refused(tmp_path):
    path = _write(tmp_path / "a.tif", _image())
    (tmp_path / "a.tif.msk").write_bytes(b"garbage")
    with (
        pytest.raises(DataError, match=r"mask beside a file must be .* got .*a\.tif\.msk"),
        open_file(path),
    ):
        pass
