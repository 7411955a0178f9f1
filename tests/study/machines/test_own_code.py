import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.methods import METHODS, Method
from study.machines.own_code import own_code
from trainables.errors import ConfigError


def _methods(*networks):
    return [
        Method(name=f"m{index}", label="m", network=network)
        for index, network in enumerate(networks)
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on the path; what was imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    importlib.invalidate_caches()
    return path


def test_files_and_whole_packages_each_once(folder):
    single = _write(folder / "own_single.py")
    _write(folder / "own_lab" / "__init__.py")
    _write(folder / "own_lab" / "nets" / "one.py")
    methods = _methods("own_single:A", "own_lab.nets.one:B", "own_lab.nets:C", "own_single:D")
    assert own_code(methods) == [str(folder / "own_lab"), str(single)]


def test_networks_of_the_project_and_of_installed_packages_are_everywhere():
    assert own_code(METHODS.values()) == []
    assert own_code(_methods("trainables.networks.unet:UNet", "torch.nn:Conv2d", "json:load")) == []


def test_a_package_of_several_folders_is_refused(folder, monkeypatch):
    for name in ("a", "b"):
        _write(folder / name / "own_spread" / "one.py")
        monkeypatch.syspath_prepend(folder / name)
    with pytest.raises(ConfigError, match="must be one folder to be sent to a cluster, got own_s"):
        own_code(_methods("own_spread.one:A"))


DRIVER = """
import sys
import ray
sys.path.insert(0, {folder!r})
from contract.methods import Method
from study.machines.own_code import own_code

@ray.remote
def made():
    from trainables.networks.build import build_network
    import own_single
    networks = [build_network(name + ":network", 3, 2) for name in ("own_single", "own_lab.one")]
    return [len(list(network.parameters())) for network in networks], own_single.__file__

methods = [Method(name=name, label="m", network=name + ":network")
           for name in ("own_single", "own_lab.one")]
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
         runtime_env={{"py_modules": own_code(methods)}})
sizes, file = ray.get(made.remote())
assert sizes == [2, 2], sizes
assert not file.startswith({folder!r}), file
print("found in", file)
"""
NETWORK = """
from torch import nn
def network(num_channels, num_classes):
    return nn.Conv2d(num_channels, num_classes, 1)
"""


@pytest.mark.slow
def test_workers_find_what_was_sent(tmp_path):
    """The workers' own path holds the project alone; the driver's folder is none of theirs."""
    _write(tmp_path / "mine" / "own_single.py", NETWORK)
    _write(tmp_path / "mine" / "own_lab" / "one.py", NETWORK)
    driver = _write(tmp_path / "driver.py", DRIVER.format(folder=str(tmp_path / "mine")))
    done = subprocess.run(
        [sys.executable, str(driver)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "RAY_TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "found in" in done.stdout
