"""Checks before any trial: data, resources, disk, and that nobody else runs the study."""

import multiprocessing
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from study.design import preflight
from study.design.preflight import (
    check_output,
    find_dataset,
    lock_study,
    read_data,
    required_disk_mib,
)
from trainables.errors import ConfigError, DataError
from trainables.networks.encoders.reading import read_encoder


def test_disk_grows_with_width_trials_and_seeds(make_config):
    one = required_disk_mib(make_config(width=32), 1, 0)
    assert one == pytest.approx(3 * 5 * 25_062_729 * 4 / 2**20)
    assert required_disk_mib(make_config(width=8), 1, 0) == pytest.approx(one / 16)
    searched = make_config(space="width=8..32", width=8)
    assert required_disk_mib(searched, 1, 0) == pytest.approx(one), "of the largest"
    assert required_disk_mib(make_config(width=32), 2, 15) == pytest.approx(3 * one)


def test_disk_is_asked_for_pretrained_encoders_too(make_config, write_encoder):
    """One of hundreds of MiB would have filled a disk that had room for U-REC."""
    small, large = write_encoder("resnet"), write_encoder("convnextv2", hidden_sizes=[4, 4, 6, 40])
    without, one, both = (
        required_disk_mib(make_config(models=["unet", *models]), 1, 0)
        for models in ([], [f"unet:{large}"], [f"unet:{small}", f"urec:{large}"])
    )
    state = read_encoder(str(large)).state
    assert one == both
    assert one - without == pytest.approx(
        15 * sum(weight.numel() for weight in state.values()) * 4 / 2**20, rel=1e-3
    )


def test_full_disk_is_refused(make_config, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    asked = []

    def disk_usage(folder):
        asked.append(Path(folder))
        return usage(2**40, 2**40, 40 * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    check_output(make_config(), 1, 1)
    with pytest.raises(ConfigError, match=r"--output must have \d+ MiB free .*, got 40 MiB"):
        check_output(make_config(width=32), 4, 10)
    assert set(asked) == {tmp_path}, "the disk of the nearest folder there is"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_output_that_is_a_file_is_refused(make_config, tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--output must be a folder"):
        check_output(make_config(output=f"{tmp_path / 'file'}{below}"), 1, 1)


def test_study_that_is_a_file_is_refused(make_config, tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny").write_text("")
    with pytest.raises(ConfigError, match="--output must be a folder"):
        check_output(make_config(), 1, 1)


def test_output_without_permission_is_refused(make_config, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="--output must be a folder that can be written"):
        check_output(make_config(), 1, 1)


def _try_to_lock(folder, answers):
    try:
        with lock_study(folder):
            answers.put("got it")
    except ConfigError as error:
        answers.put(str(error))


def test_lock_refuses_a_second_process(tmp_path):
    folder = tmp_path / "studies" / "x"
    fork = multiprocessing.get_context("fork")  # a new interpreter would import for seconds
    answers = fork.Queue()
    with lock_study(folder):
        second = fork.Process(target=_try_to_lock, args=(folder, answers))
        second.start()
        said = answers.get(timeout=60)
        second.join()
    assert "--name must be of a study that is not running, got 'x'" in said
    with lock_study(folder):
        pass


def test_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), lock_study(tmp_path / "x"):
        raise RuntimeError
    with lock_study(tmp_path / "x"), pytest.raises(ConfigError), lock_study(tmp_path / "x"):
        pass


def test_tiles_of_a_process_that_was_killed_go_first(tmp_path):
    """They took the room that was then missing for the same tiles."""
    (tmp_path / "x" / "tiles" / "train").mkdir(parents=True)
    (tmp_path / "x" / "tiles" / "train" / "images.npy").touch()
    with lock_study(tmp_path / "x"):
        assert not (tmp_path / "x" / "tiles").exists()


def test_data_by_split(make_config):
    config = make_config()
    data = read_data(config, find_dataset(config))
    assert {split: tiles.names for split, tiles in data.tiles.items()} == {
        "train": ("a1", "a2", "a3", "a4"),
        "val": ("b1",),
        "test": ("c1", "c2"),
    }
    assert data.tiles["test"].tile(0).mask.shape == (80, 96)


def test_data_is_downsampled(make_config):
    config = make_config(downsample=2)
    data = read_data(config, find_dataset(config))
    assert data.tiles["val"].tile(0).mask.shape == (40, 48)


@pytest.mark.parametrize(
    ("unlabelled", "said"),
    [
        (("b1",), "val tiles must hold labelled pixels, got none in b1"),
        (("c1", "c2"), "test tiles must hold labelled pixels, got none in c1, c2"),
        (("a1", "a2", "a3", "a4"), "train tiles must hold labelled pixels, got none in a1, a2"),
    ],
)
def test_split_without_labelled_pixels_is_refused(
    make_config, write_dataset, tmp_path, unlabelled, said
):
    folder = write_dataset(tmp_path / "data", unlabelled=unlabelled)
    config = make_config(data=str(folder))
    with pytest.raises(DataError, match=said):
        read_data(config, find_dataset(config))


def test_one_unlabelled_tile_among_others_is_fine(make_config, write_dataset, tmp_path):
    folder = write_dataset(tmp_path / "data", unlabelled=("a1", "c2"))
    config = make_config(data=str(folder))
    assert len(read_data(config, find_dataset(config)).tiles["train"]) == 4


def test_without_data_the_scenes_go_beside_the_studies(make_config, monkeypatch, tmp_path):
    tiny = find_dataset(make_config())
    written = []
    monkeypatch.setattr(preflight, "write_scenes", lambda folder, seed: written.append(folder))
    monkeypatch.setattr(preflight, "load_dataset", lambda path: tiny)
    assert find_dataset(make_config(data=None)).splits == tiny.splits
    (folder,) = written
    assert folder.parent.parent == tmp_path / "studies"
    with pytest.raises(ConfigError, match="--name"):
        make_config(name=folder.parent.name)
