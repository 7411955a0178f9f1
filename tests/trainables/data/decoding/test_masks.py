"""Masks as programs write them: floats, several bands, alpha, nodata, masks of masks, few bits."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp

from trainables.data.decoding.masks import MaskReader
from trainables.data.decoding.raster import open_file
from trainables.data.layouts.spec import IGNORE_INDEX, ClassSpec, DatasetSpec, TileFiles
from trainables.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
LAND, WATER = (
    ClassSpec(name="land", color=BLACK, value=0),
    ClassSpec(name="water", color=WHITE, value=1),
)
VALUES = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]], dtype=np.uint8)
UNKNOWN = IGNORE_INDEX


def spec_of(*classes, **fields):
    files = tuple(
        (split, (TileFiles(name=split, image=f"{split}.tif", mask=f"{split}_m.tif"),))
        for split in ("train", "val", "test")
    )
    return DatasetSpec(name="x", bands=("a",), classes=classes, splits=dict(files), **fields)


BY_VALUE = spec_of(LAND, WATER)
BY_COLOR = spec_of(ClassSpec(name="land", color=BLACK), ClassSpec(name="water", color=WHITE))


def write(file, *bands, interpretation=None, **options):
    stack = np.stack(bands)
    count, height, width = stack.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    with rasterio.open(file, "w", dtype=stack.dtype, **profile, **options) as target:
        if interpretation is not None:
            target.colorinterp = interpretation
        target.write(stack)
    return file


def read(file, spec=BY_VALUE):
    """Classes and problem of the whole file, which are those of its rows one by one."""
    with open_file(file) as raster:
        whole, rows = (MaskReader(raster, spec, file) for _ in range(2))
        mask = whole.read(0, raster.height_px)
        parts = [rows.read(row, row + 1) for row in range(raster.height_px)]
        assert np.array_equal(np.concatenate(parts), mask)
        assert rows.problem == whole.problem
        assert rows.nodata_classes == whole.nodata_classes
        return mask, whole.problem


def refusal(file, spec=BY_VALUE):
    with pytest.raises(DataError) as caught:
        read(file, spec)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "uint32", "int64"])
def test_whole_values_of_any_type_are_values(tmp_path, dtype):
    mask, problem = read(write(tmp_path / "m.tif", VALUES.astype(dtype)))
    assert problem is None
    assert np.array_equal(mask, VALUES)


def test_nan_is_unknown_and_a_fraction_is_refused(tmp_path):
    values = VALUES.astype("float32")
    values[0, 0] = np.nan
    mask, problem = read(write(tmp_path / "m.tif", values))
    assert problem is None
    assert mask[0, 0] == UNKNOWN
    assert np.array_equal(mask.flat[1:], VALUES.flat[1:])
    values[1, 2] = 0.25
    mask, problem = read(write(tmp_path / "m.tif", values))
    assert problem.startswith(
        "mask values must be of a class or of ignore_values, got 0.25 (1 px, first at row 1, "
        f"column 2) in {tmp_path / 'm.tif'}; values must be whole"
    )
    assert "without interpolation" in problem


def test_equal_bands_are_one(tmp_path):
    """Grey images that a program saved as RGB."""
    for count in (2, 3, 5):
        mask, problem = read(write(tmp_path / "m.tif", *[VALUES] * count, photometric="minisblack"))
        assert problem is None
        assert np.array_equal(mask, VALUES)
    other = VALUES.copy()
    other[2, 1] = 7
    message = refusal(write(tmp_path / "n.tif", VALUES, VALUES, other))
    assert "several equal ones, got 1, 1, 7 at row 2, column 1" in message
    floats = VALUES.astype("float32")
    floats[0, 0] = np.nan
    mask, problem = read(write(tmp_path / "f.tif", floats, floats, floats))
    assert problem is None
    assert mask[0, 0] == UNKNOWN


@pytest.mark.parametrize("num_bands", [1, 3])
@pytest.mark.parametrize("spec", [BY_VALUE, BY_COLOR], ids=["values", "colours"])
def test_alpha_of_0_is_unknown(tmp_path, num_bands, spec):
    """What lies there is what the program left, often class 0."""
    alpha = np.full(VALUES.shape, 255, np.uint8)
    alpha[0, :2], alpha[2, 3] = 0, 1
    planes = VALUES if spec is BY_VALUE else VALUES * np.uint8(255)
    colors = [ColorInterp.gray] if num_bands == 1 else [
        ColorInterp.red, ColorInterp.green, ColorInterp.blue
    ]  # fmt: skip
    file = write(
        tmp_path / "m.tif",
        *[planes] * num_bands,
        alpha,
        interpretation=[*colors, ColorInterp.alpha],
    )
    mask, problem = read(file, spec)
    assert problem is None
    assert np.array_equal(mask, np.where(alpha == 0, UNKNOWN, VALUES))


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize("spec", [BY_VALUE, BY_COLOR], ids=["values", "colours"])
def test_what_the_masks_own_mask_hides_is_unknown_and_not_class_0(tmp_path, internal, spec):
    planes = [VALUES] if spec is BY_VALUE else [VALUES * np.uint8(255)] * 3
    shown = np.full(VALUES.shape, 255, np.uint8)
    shown[1, 1:3] = 0
    planes = [np.where(shown == 0, 0, plane).astype(np.uint8) for plane in planes]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        file = write(tmp_path / "m.tif", *planes)
        with rasterio.open(file, "r+") as target:
            target.write_mask(shown)
    assert (tmp_path / "m.tif.msk").exists() != internal
    mask, problem = read(file, spec)
    assert problem is None
    assert np.array_equal(mask, np.where(shown == 0, UNKNOWN, VALUES))


def test_a_mask_of_the_mask_does_not_hide_its_nodata_value(tmp_path):
    """GDAL tells of the one or of the other."""
    values = VALUES.copy()
    values[0, 0] = 9
    shown = np.full(VALUES.shape, 255, np.uint8)
    shown[2, 0] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        file = write(tmp_path / "m.tif", values, nodata=9)
        with rasterio.open(file, "r+") as target:
            target.write_mask(shown)
    mask, problem = read(file)
    assert problem is None
    assert np.argwhere(mask == UNKNOWN).tolist() == [[0, 0], [2, 0]]


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 255), ("int16", -1), ("float32", -9999)])
def test_nodata_of_no_class_is_unknown(tmp_path, dtype, nodata):
    values = VALUES.astype(dtype)
    values[0, 3] = nodata
    file = write(tmp_path / "m.tif", values, nodata=nodata)
    mask, problem = read(file)
    assert problem is None
    assert np.array_equal(mask == UNKNOWN, values == nodata)


def test_nodata_that_dataset_yaml_calls_a_class_is_that_class(tmp_path):
    """QGIS writes 0 for nodata and for the background alike."""
    file = write(tmp_path / "m.tif", VALUES, nodata=0)
    with open_file(file) as raster:
        reader = MaskReader(raster, BY_VALUE, file)
        assert np.array_equal(reader.read(0, 3), VALUES)
        assert reader.nodata_classes == {0}


def test_a_transparent_colour_of_no_class_is_unknown(tmp_path):
    pixels = np.stack([VALUES * np.uint8(255)] * 3, axis=-1)
    pixels[0, 1] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "m.png", transparency=(1, 2, 3))
    mask, problem = read(tmp_path / "m.png", BY_COLOR)
    assert problem is None
    expected = VALUES.copy()
    expected[0, 1] = UNKNOWN
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_one_bit_are_black_and_white(tmp_path, ending, mode):
    Image.fromarray(VALUES * np.uint8(255)).convert(mode).save(tmp_path / f"m.{ending}")
    mask, problem = read(tmp_path / f"m.{ending}", BY_COLOR)
    assert problem is None
    assert np.array_equal(mask, VALUES)


def test_one_band_of_other_values_for_colours_is_told_of_values(tmp_path):
    _, problem = read(write(tmp_path / "m.tif", VALUES), BY_COLOR)
    assert "got #010101 (6 px, first at row 0, column 1)" in problem
    assert "for index masks give classes a value" in problem


def test_a_palette_of_sixteen_bits(tmp_path):
    file = write(tmp_path / "m.tif", VALUES.astype(np.uint16) + np.uint16(300))
    with rasterio.open(file, "r+") as target:
        target.write_colormap(1, {300: (*BLACK, 255), 301: (*WHITE, 255)})
    mask, problem = read(file, BY_COLOR)
    assert problem is None
    assert np.array_equal(mask, VALUES)


@pytest.mark.parametrize(
    ("bands", "spec", "expected"),
    [
        ([VALUES] * 5, BY_COLOR, "must be RGB, RGBA, grey or have a palette, got 5 of uint8 in"),
        ([VALUES] * 2, BY_COLOR, "must be RGB, RGBA, grey or have a palette, got 2 of uint8 in"),
        ([VALUES.astype("complex64")], BY_VALUE, "got 1 of complex64 in"),
        ([VALUES.astype("uint16")] * 3, BY_COLOR, "must be RGB, RGBA, grey or have a palette, got"),
        ([VALUES.astype("float32")], BY_COLOR, "got 1 of float32 in"),
    ],
)
def test_bands_that_cannot_be_a_mask(tmp_path, bands, spec, expected):
    assert expected in refusal(write(tmp_path / "m.tif", *bands), spec)


def test_unknown_values_are_counted_and_located_over_all_rows(tmp_path):
    values = VALUES.astype("int32")
    values[0, 1] = values[2, 2] = -70_000
    values[1, 1] = 12_345_678
    _, problem = read(write(tmp_path / "m.tif", values))
    assert "got -70000 (2 px, first at row 0, column 1), 12345678 (1 px, first at row 1" in problem


def test_bands_may_differ_where_alpha_hides_them(tmp_path):
    pixels = np.dstack([VALUES, VALUES, VALUES, np.full_like(VALUES, 255)])
    pixels[0, :2] = (5, 6, 7, 0)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    mask, problem = read(tmp_path / "m.png")
    assert problem is None
    assert np.array_equal(mask, np.where(pixels[..., 3] == 0, UNKNOWN, VALUES))


def test_a_band_that_calls_itself_a_palette_and_has_none_was_a_traceback(tmp_path):
    file = write(tmp_path / "m.tif", VALUES, interpretation=[ColorInterp.palette])
    mask, problem = read(file)
    assert problem is None
    assert np.array_equal(mask, VALUES)
    _, problem = read(file, BY_COLOR)
    assert "got #010101" in problem


def test_a_value_beyond_the_palette_is_told_in_words(tmp_path):
    picture = Image.fromarray(np.where(VALUES == 1, 9, 0).astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0])
    picture.save(tmp_path / "m.png", bits=8)
    with rasterio.open(tmp_path / "m.png") as source:
        has_color = 9 in source.colormap(1)
    _, problem = read(tmp_path / "m.png", BY_COLOR)
    assert ("got a value without colour (6 px" in problem) != has_color


@pytest.mark.parametrize("num_bits", [1, 2, 4, 8])
def test_grey_that_counts_from_white_is_as_a_viewer_shows_it(tmp_path, num_bits):
    highest = 2**num_bits - 1
    stored = ((1 - VALUES) * highest).astype(np.uint8)
    file = write(tmp_path / "m.tif", stored, photometric="miniswhite", nbits=num_bits)
    mask, problem = read(file, BY_COLOR)
    assert problem is None
    assert np.array_equal(mask, VALUES)


@pytest.mark.parametrize("spec", [BY_VALUE, BY_COLOR], ids=["values", "colours"])
def test_a_photograph_for_a_mask_takes_no_memory_for_each_of_its_values(tmp_path, spec):
    shape = (64, 64)
    random = np.random.default_rng(0)
    bands = [random.random(shape, dtype=np.float32) + 2]
    if spec is BY_COLOR:
        bands = list(random.integers(1, 255, (3, *shape), dtype=np.uint8))
    file = write(tmp_path / "m.tif", *bands)
    with open_file(file) as raster:
        reader = MaskReader(raster, spec, file)
        reader.read(0, 64)
        reader.read(0, 64)
        assert len(reader._unknown._found) == 1000
        assert " and over 997 more in " in reader.problem


@pytest.mark.parametrize("nodata", ["-1.79769313486232e+308", "inf"])
def test_nodata_that_overflows_is_not_every_value(tmp_path, nodata):
    values = VALUES.astype("float32")
    values[0, 0] = 7
    file = write(tmp_path / "m.tif", values)
    (tmp_path / "m.tif.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1"><NoDataValue>{nodata}</NoDataValue>'
        "</PAMRasterBand></PAMDataset>"
    )
    _, problem = read(file)
    assert "got 7 (1 px, first at row 0, column 0)" in problem


def test_masks_of_single_bands_hide_too(tmp_path):
    """As a VRT may have them."""
    write(tmp_path / "values.tif", *[VALUES] * 3, photometric="minisblack")
    write(tmp_path / "shown.tif", np.where(VALUES == 1, 255, 0).astype(np.uint8))
    source = "<SimpleSource><SourceFilename relativeToVRT='1'>{}</SourceFilename>{}</SimpleSource>"
    shown = source.format("shown.tif", "<SourceBand>1</SourceBand>")
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">'
        + source.format("values.tif", f"<SourceBand>{band}</SourceBand>")
        + (
            f'<MaskBand><VRTRasterBand dataType="Byte">{shown}</VRTRasterBand></MaskBand>'
            if band > 1
            else ""
        )
        + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )
    file = tmp_path / "m.vrt"
    file.write_text(f'<VRTDataset rasterXSize="4" rasterYSize="3">{bands}</VRTDataset>')
    mask, problem = read(file)
    assert problem is None
    assert np.array_equal(mask, np.where(VALUES == 1, 1, UNKNOWN))


def test_nodata_that_the_masks_own_mask_hides_is_no_class_to_be_told_of(tmp_path):
    shown = np.where(VALUES == 1, 255, 0).astype(np.uint8)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        file = write(tmp_path / "m.tif", VALUES, nodata=0)
        with rasterio.open(file, "r+") as target:
            target.write_mask(shown)
    with open_file(file) as raster:
        reader = MaskReader(raster, BY_VALUE, file)
        assert np.array_equal(reader.read(0, 3), np.where(VALUES == 1, 1, UNKNOWN))
        assert reader.nodata_classes == set()


def test_stray_values_are_unknown_and_counted_where_they_are_to_be_ignored(tmp_path):
    stray = VALUES.copy()
    stray[0, :2], stray[2, 3] = (7, 8), 9
    file = write(tmp_path / "m.tif", stray)
    assert "mask values must be of a class" in read(file)[1]
    lenient = spec_of(LAND, WATER, ignore_others=True)
    mask, problem = read(file, lenient)
    assert problem is None
    assert mask.tolist() == [[UNKNOWN, UNKNOWN, 1, 0], [1, 0, 0, 1], [1, 1, 0, UNKNOWN]]
    with open_file(file) as raster:
        reader = MaskReader(raster, lenient, file)
        reader.read(0, 3)
        assert reader.num_others == 3
