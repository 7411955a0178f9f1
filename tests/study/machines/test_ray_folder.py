"""Ray's sockets have paths of at most 107 bytes."""

import datetime
import os
import stat

import pytest
from ray._private.utils import validate_socket_filepath

from study.machines import ray_folder as module
from study.machines.machines import Machines
from study.machines.ray_folder import ray_folder
from trainables.errors import ConfigError

LONG = "/scratch/slurm_jobdir_user_with_a_long_name_project_urban_mapping_node0123"


@pytest.fixture(autouse=True)
def places(tmp_path_factory, monkeypatch):
    """Short folders in place of the machine's."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)
    place = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(module, "_SHORT", (str(place / "none" / "x"), str(place)))
    return place


def test_rays_own_choice_is_left_where_it_is_short_enough(monkeypatch):
    assert ray_folder() is None
    monkeypatch.setenv("TMPDIR", "/scratch/job_12345")
    assert ray_folder() is None
    monkeypatch.setenv("TMPDIR", LONG)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert ray_folder() is None


def test_the_longest_that_is_left_is_one_that_ray_takes():
    longest = "/" + "x" * (module._MAX_BYTES - 1)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d_%H-%M-%S_%f")
    validate_socket_filepath(f"{longest}/ray/session_{now}_4194304/sockets/plasma_store")


def test_a_long_tmpdir_halted_the_study_after_it_had_begun(monkeypatch, places):
    monkeypatch.setenv("TMPDIR", LONG)
    folder = places / f"urec-study-{os.getuid()}"
    assert ray_folder() == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ray_folder() == str(folder)


def test_bytes_count_not_letters(monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/" + "\u00fc" * (module._MAX_BYTES - 5))
    with pytest.raises(ConfigError, match="RAY_TMPDIR must be a path of at most"):
        ray_folder()


def test_what_cannot_be_mended_is_refused_before_anything_is_written(
    monkeypatch, places, make_config
):
    monkeypatch.setenv("TMPDIR", LONG)
    (places / f"urec-study-{os.getuid()}").symlink_to(places)  # somebody else's
    with pytest.raises(ConfigError, match=r"TMPDIR must be.*such as RAY_TMPDIR=/tmp"):
        Machines(make_config())
    monkeypatch.setenv("RAY_TMPDIR", LONG)
    with pytest.raises(ConfigError, match="RAY_TMPDIR must be a path of at most"):
        Machines(make_config())
