"""Random rasters, read as a study reads them, against arrays made without any file."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from rasterio.transform import from_origin

from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import IGNORE_INDEX

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

TILES = ("a", "b", "c")
GDAL_TYPES = {
    "uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "int32": "Int32",
    "float32": "Float32", "float64": "Float64",
}  # fmt: skip
SPELLINGS = (
    ("EPSG:25832", "+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m +no_defs"),
    ("EPSG:25832", "EPSG:25832+7837"),
    ("EPSG:25832", "+proj=utm +zone=32 +ellps=GRS80 +units=m +no_defs"),
    ("EPSG:32632", "+proj=utm +zone=32 +datum=WGS84 +units=m +no_defs"),
    ("EPSG:32632+4979", "EPSG:32632"),
    ("EPSG:31467", "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel +units=m"),
    ("EPSG:3857", "EPSG:900913"),
)
examples = settings(max_examples=30, deadline=None, derandomize=True)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


def write(file, bands, **options):
    file.parent.mkdir(exist_ok=True)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(file, "w", driver="GTiff", **profile, **options) as target:
        target.write(bands)


def both_classes(rng, shape):
    """Class values (H, W) of 0 and 1, both of them wherever there are two pixels."""
    values = rng.integers(0, 2, shape).astype(np.uint8)
    values.flat[0], values.flat[-1] = 0, 1
    return values


def read(folder, num_bands, images="images/{tile}.tif", masks="masks/{tile}.tif", more=""):
    """The training tile of a folder with the tiles a, b and c."""
    bands = ", ".join(f"b{number}" for number in range(num_bands))
    (folder / "dataset.yaml").write_text(
        f"name: x\nbands: [{bands}]\nimages: {images}\nmasks: {masks}\n"
        "classes: [{name: land, value: 0}, {name: water, value: 1}]\n"
        f"splits: {{train: [a], val: [b], test: [c]}}\n{more}"
    )
    return read_dataset(load_dataset(folder)).tiles["train"].tile(0)


def write_vrt(file, source, dtype, shape, nodata):
    """A raster of which every band has a nodata value of its own, or none."""
    bands = "".join(
        f'<VRTRasterBand dataType="{GDAL_TYPES[dtype]}" band="{band}">'
        + ("" if value is None else f"<NoDataValue>{value}</NoDataValue>")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band, value in enumerate(nodata, start=1)
    )
    height, width = shape
    file.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{bands}</VRTDataset>'
    )


@examples
@given(
    seed=st.integers(0, 2**32),
    size=sizes,
    dtype=st.sampled_from(list(GDAL_TYPES)),
    declared=st.lists(st.booleans(), min_size=1, max_size=4),
    in_yaml=st.booleans(),
)
def test_nodata_of_any_band_is_hidden(seed, size, dtype, declared, in_yaml):
    """One value of each band means no data; it is said by the file or by dataset.yaml."""
    rng = np.random.default_rng(seed)
    num_bands = len(declared)
    values = 10 + np.arange(num_bands)
    image = rng.integers(50, 90, (num_bands, *size)).astype(dtype)
    is_nodata = rng.random(image.shape) < 0.5
    is_nodata.reshape(num_bands, -1)[:, [0, -1]] = False  # both classes stay
    image = np.where(is_nodata, values[:, None, None], image).astype(dtype)
    told = is_nodata[declared]
    if dtype in ("uint8", "uint16"):  # one dark band may well be dark
        hidden = told.all(axis=0) if len(told) else np.zeros(size, bool)
    else:
        hidden = told.any(axis=0)
    classes = both_classes(rng, size)
    nodata = [int(v) if is_told else None for v, is_told in zip(values, declared, strict=True)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tile in TILES:
            write(folder / "images" / f"{tile}.src", image)
            in_file = [None] * num_bands if in_yaml else nodata
            write_vrt(folder / "images" / f"{tile}.vrt", f"{tile}.src", dtype, size, in_file)
            write(folder / "masks" / f"{tile}.tif", classes[None])
        if image[0].size == 1:
            return  # one pixel cannot hold both classes
        listed = ", ".join("null" if one is None else str(one) for one in nodata)
        more = f"nodata: [{listed}]\n" if in_yaml else ""
        tile = read(folder, num_bands, images="images/{tile}.vrt", more=more)
    kept = dtype if dtype in ("uint8", "uint16") else "float32"
    assert tile.image.dtype == kept
    assert np.array_equal(tile.image, np.where(hidden, 0, image).astype(kept))
    assert np.array_equal(tile.mask, np.where(hidden, IGNORE_INDEX, classes))
    assert np.array_equal(hidden, np.zeros(size) if tile.shown is None else ~tile.shown)


@examples
@given(
    seed=st.integers(0, 2**32),
    size=sizes.filter(lambda size: size != (1, 1)),
    internal=st.booleans(),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64"]),
)
def test_what_a_label_hides_by_its_own_mask_is_unknown(seed, size, internal, dtype):
    rng = np.random.default_rng(seed)
    classes = both_classes(rng, size)
    shown = rng.random(size) < 0.5
    shown.flat[[0, -1]] = True
    with tempfile.TemporaryDirectory() as name, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        folder = Path(name)
        for tile in TILES:
            write(folder / "images" / f"{tile}.tif", np.ones((1, *size), np.uint8))
            file = folder / "masks" / f"{tile}.tif"
            write(file, np.where(shown, classes, 0)[None].astype(dtype))
            with rasterio.open(file, "r+") as target:
                target.write_mask(shown)
        tile = read(folder, 1)
    assert np.array_equal(tile.mask, np.where(shown, classes, IGNORE_INDEX))


@examples
@given(
    seed=st.integers(0, 2**32),
    size=sizes.filter(lambda size: size != (1, 1)),
    orientation=st.integers(1, 8),
    ending=st.sampled_from(["png", "tif", "webp", "jpg"]),
    turn_masks=st.booleans(),
)
def test_a_turned_image_lies_under_its_mask(seed, size, orientation, ending, turn_masks):
    """Masks are drawn on what a viewer shows, or turned themselves."""
    rng = np.random.default_rng(seed)
    exif = Image.Exif()
    exif[274] = orientation

    def turned(stored):
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            Image.fromarray(stored).save(file.name, exif=exif)
            with Image.open(file.name) as picture:
                return np.array(ImageOps.exif_transpose(picture))

    stored = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    stored_classes = both_classes(rng, size)
    classes = turned(stored_classes)
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(ending, {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        for tile in TILES:
            image = folder / "images" / f"{tile}.{ending}"
            Image.fromarray(stored).save(image, exif=exif, **options)
            mask = folder / "masks" / f"{tile}.png"
            if turn_masks:
                Image.fromarray(stored_classes).save(mask, exif=exif)
            else:
                Image.fromarray(classes).save(mask)
        with rasterio.open(folder / "images" / f"a.{ending}") as source:
            decoded = np.moveaxis(source.read(), 0, -1)  # a JPEG is not what was written
        tile = read(folder, 3, images=f"images/{{tile}}.{ending}", masks="masks/{tile}.png")
    assert np.array_equal(np.moveaxis(tile.image, 0, -1), turned(decoded))
    assert np.array_equal(tile.mask, classes)


@examples
@given(
    seed=st.integers(0, 2**32),
    size=sizes.filter(lambda size: size != (1, 1)),
    spelling=st.sampled_from(SPELLINGS),
    swapped=st.booleans(),
    gsd=st.sampled_from([0.05, 0.5, 10.0]),
)
def test_a_mask_in_another_spelling_of_its_system_is_taken(seed, size, spelling, swapped, gsd):
    rng = np.random.default_rng(seed)
    image_crs, mask_crs = spelling[::-1] if swapped else spelling
    east = 3_500_000.0 if "31467" in spelling[0] else 500_000.0
    image = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    classes = both_classes(rng, size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, tile in enumerate(TILES):
            place = from_origin(east + 1000 * index, 5_400_000.0, gsd, gsd)
            write(folder / "images" / f"{tile}.tif", image, crs=image_crs, transform=place)
            file = folder / "masks" / f"{tile}.tif"
            write(file, classes[None], crs=mask_crs, transform=place)
        tile = read(folder, 3)
    assert np.array_equal(tile.image, image)
    assert np.array_equal(tile.mask, classes)
