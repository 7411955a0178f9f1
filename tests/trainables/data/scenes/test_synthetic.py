"""The built-in scenes: deterministic, in the ISPRS layout, with enough of the rare classes."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from trainables.data.scenes import render, synthetic
from trainables.data.scenes.synthetic import (
    BUILTIN_AREAS,
    CLASS_COLORS,
    SCENES_VERSION,
    erode_reference,
    render_scene,
    write_scenes,
)

SMALL = {"train": (1,), "val": (15,), "test": (2,)}
NUM_CLASSES = 6


def _digest(seed: int, area: int) -> str:
    scene = render_scene(seed, area, height_px=160, width_px=192)
    return hashlib.sha256(scene.image.tobytes() + scene.mask.tobytes()).hexdigest()


def test_scene_has_the_documented_arrays():
    scene = render_scene(0, 1, height_px=160, width_px=192)
    assert scene.image.shape == (3, 160, 192)
    assert scene.mask.shape == (160, 192)
    assert scene.image.dtype == scene.mask.dtype == np.uint8
    assert scene.mask.max() < NUM_CLASSES


def test_same_seed_and_area_give_the_same_bytes():
    assert _digest(3, 7) == _digest(3, 7)


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from trainables.data.scenes.synthetic import render_scene;"
        "s = render_scene(3, 7, height_px=160, width_px=192);"
        "print(hashlib.sha256(s.image.tobytes() + s.mask.tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == _digest(3, 7)


def test_other_seed_and_other_area_differ():
    assert len({_digest(3, 7), _digest(4, 7), _digest(3, 8)}) == 3


@pytest.mark.parametrize(
    ("seed", "area", "size"), [(-1, 1, 160), (0, -1, 160), (0, 1, 16)], ids=str
)
def test_arguments_out_of_range_are_refused(seed, area, size):
    with pytest.raises(ValueError, match="must be >="):
        render_scene(seed, area, height_px=size, width_px=size)


def test_erosion_ignores_exactly_the_pixels_within_the_radius():
    rng = np.random.default_rng(0)
    mask = np.kron(rng.integers(0, 6, (5, 4)), np.ones((11, 13))).astype(np.uint8)
    height, width = mask.shape
    eroded = erode_reference(mask, radius_px=3)
    for y in range(height):
        for x in range(width):
            near = {
                int(mask[y + dy, x + dx])
                for dy in range(-3, 4)
                for dx in range(-3, 4)
                if dy**2 + dx**2 <= 9 and 0 <= y + dy < height and 0 <= x + dx < width
            }
            assert eroded[y, x] == (mask[y, x] if len(near) == 1 else 255)


def test_erosion_leaves_a_mask_of_one_class_alone():
    mask = np.full((9, 9), 4, dtype=np.uint8)
    np.testing.assert_array_equal(erode_reference(mask), mask)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    return write_scenes(folder, seed=1, areas=SMALL, size_px=128, num_processes=1)


def test_files_lie_in_the_vaihingen_layout(scenes):
    tiffs = {str(path.relative_to(scenes)) for path in scenes.rglob("*.tif")}
    assert tiffs == {
        f"{folder}/top_mosaic_09cm_area{area}{end}.tif"
        for folder, end in (
            ("top", ""),
            ("gts_for_participants", ""),
            ("gts_eroded_for_participants", "_noBoundary"),
        )
        for area in (1, 2, 15)
    }


def test_files_are_georeferenced_with_nine_centimetre_pixels(scenes):
    bounds = []
    for path in sorted(scenes.rglob("*.tif")):
        with rasterio.open(path) as file:
            assert (file.count, set(file.dtypes)) == (3, {"uint8"})
            assert file.crs.to_epsg() == 32632
            assert file.res == pytest.approx((0.09, 0.09))
            if path.parent.name == "top":
                bounds.append(file.bounds)
    for i, a in enumerate(bounds):
        for b in bounds[i + 1 :]:
            apart = a.right <= b.left or b.right <= a.left or a.top <= b.bottom
            assert apart or b.top <= a.bottom


def test_references_hold_class_colours_and_black_only_where_eroded(scenes):
    colours = {tuple(int(v) for v in c) for c in CLASS_COLORS}
    for path in scenes.glob("gts_*/*.tif"):
        with rasterio.open(path) as file:
            found = {tuple(int(v) for v in c) for c in file.read().reshape(3, -1).T}
        allowed = colours | {(0, 0, 0)} if "noBoundary" in path.name else colours
        assert found <= allowed


def test_files_hold_the_rendered_scene(scenes):
    with rasterio.open(scenes / "top" / "top_mosaic_09cm_area2.tif") as file:
        image = file.read()
    scene = render_scene(1, 2, height_px=image.shape[1], width_px=image.shape[2])
    np.testing.assert_array_equal(image, scene.image)
    with rasterio.open(scenes / "gts_for_participants" / "top_mosaic_09cm_area2.tif") as file:
        np.testing.assert_array_equal(file.read(), CLASS_COLORS[scene.mask].transpose(2, 0, 1))


def test_a_complete_folder_is_kept_and_another_seed_replaces_it(tmp_path):
    folder = tmp_path / "scenes"
    tile = folder / "top" / "top_mosaic_09cm_area1.tif"
    settings = {"areas": {"train": (1,)}, "size_px": 64, "num_processes": 1}
    write_scenes(folder, seed=0, **settings)
    first, written_ns = tile.read_bytes(), tile.stat().st_mtime_ns
    write_scenes(folder, seed=0, **settings)
    assert tile.stat().st_mtime_ns == written_ns
    write_scenes(folder, seed=1, **settings)
    assert tile.read_bytes() != first
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_a_folder_of_other_files_is_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError, match="other files"):
        write_scenes(tmp_path, areas={"train": (1,)}, size_px=64, num_processes=1)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_interrupted_writing_leaves_no_half_folder(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "erode_reference", fail)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "scenes", areas=SMALL, size_px=64, num_processes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_says_why(tmp_path):
    """On a full disk files were cut off without an error, or a traceback of GDAL's tags was one."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from trainables.data.scenes.synthetic import write_scenes\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "    try:\n"
        "        write_scenes(Path(sys.argv[1]), size_px=64, num_processes=2)\n"
        "    except OSError as error:\n"
        "        print(error, error.__cause__)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(tmp_path / "scenes")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"[Errno {errno.EFBIG}] File too large None\n"
    assert not (tmp_path / "scenes").exists()


def test_two_processes_at_once_both_succeed(tmp_path):
    folder = tmp_path / "scenes"
    fork = multiprocessing.get_context("fork")  # new interpreters would import for seconds
    options = {"areas": {"train": (1, 3)}, "size_px": 64, "num_processes": 1}
    runs = [fork.Process(target=write_scenes, args=(folder,), kwargs=options) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    assert len(list(folder.rglob("*.tif"))) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def _shares(seed: int, area: int) -> np.ndarray:
    height_px, width_px = synthetic.tile_shape(area, 1024)
    mask = render_scene(seed, area, height_px=height_px, width_px=width_px).mask
    return 100 * np.bincount(mask.ravel(), minlength=NUM_CLASSES) / mask.size


def test_every_class_is_there_and_none_rules_a_tile():
    shares = np.mean([_shares(0, area) for area in (1, 6)], axis=0)
    assert np.all(shares[:4] > 8)
    assert np.all(shares[:4] < 50)
    assert np.all(shares[4:] > 0.5)
    assert np.all(shares[4:] < 5)


@pytest.fixture
def unexposed(monkeypatch):
    """Scenes without their picture, which is nearly half of the work; the mask is the same."""
    with_picture = render_scene(0, 1, height_px=160, width_px=192)
    black = np.zeros((3, 1, 1), dtype=np.uint8)
    monkeypatch.setattr(render, "expose", lambda canvas, rng: black)
    without = render_scene(0, 1, height_px=160, width_px=192)
    assert without.image.shape != with_picture.image.shape
    np.testing.assert_array_equal(without.mask, with_picture.mask)


@pytest.mark.slow
@pytest.mark.usefixtures("unexposed")
def test_large_classes_have_vaihingens_shares_and_rare_ones_more():
    """At Vaihingen's 1 % and less, no network of the demo ever predicted cars or clutter."""
    areas = [area for group in BUILTIN_AREAS.values() for area in group]
    shares = np.mean([_shares(0, area) for area in areas], axis=0)
    np.testing.assert_allclose(shares[:4], (28, 26, 21, 23), atol=4)
    assert 3.0 <= shares[4] <= 4.5
    assert 1.5 <= shares[5] <= 3.0


def test_version_is_recorded(scenes):
    assert f'"version": {SCENES_VERSION}' in (scenes / "scenes.json").read_text()


def test_a_long_tmpdir_halted_the_study_before_the_first_scene(tmp_path, monkeypatch):
    """'AF_UNIX path too long': the socket of the processes that paint lay in it."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    scenes = write_scenes(
        tmp_path / "scenes", seed=0, areas={"train": (1, 3)}, size_px=64, num_processes=2
    )
    assert len(list((scenes / "top").iterdir())) == 2
