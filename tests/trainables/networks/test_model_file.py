import importlib
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.errors import ConfigError, DataError
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrainingConfig, TrialConfig

CLASSES = (ClassSpec(name="land", color=(0, 128, 0)), ClassSpec(name="water", color=(0, 0, 255)))
BANDS = ("red", "green", "blue")
TRIAL = TrialConfig(
    key="confirm-urec-f0.10-s2",
    phase="confirm",
    model="urec",
    label_frac=0.1,
    seed=2,
    training=TrainingConfig(width=2, downsample=4, infer_window_px=96, infer_step_px=64),
)


@pytest.fixture
def network():
    return build_network("urec", 3, 2, width=2, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def trained(network):
    return TrainedModel.from_trial(
        network,
        TRIAL,
        classes=CLASSES,
        bands=BANDS,
        scaling=BandScaling(dtype="uint16", low=(1.5, 2.0, 3.0), high=(900.0, 800.0, 700.25)),
        study="harbour",
    )


def test_what_a_trial_leaves(trained):
    assert (trained.network, trained.width, trained.downsample) == ("urec", 2, 4)
    assert (trained.window_px, trained.step_px) == (96, 64)
    assert (trained.bands, trained.classes) == (BANDS, CLASSES)
    assert trained.scaling.dtype == "uint16"
    assert trained.scaling.high == (900.0, 800.0, 700.25)
    assert (trained.trial_key, trained.study) == ("confirm-urec-f0.10-s2", "harbour")


def test_saved_and_loaded_is_the_same(trained, network, tmp_path):
    path = tmp_path / "new" / "model.pt"
    trained.save(path)
    loaded = TrainedModel.load(path)
    for name in ("network", "width", "bands", "classes", "downsample", "window_px", "step_px",
                 "scaling", "trial_key", "study"):  # fmt: skip
        assert getattr(loaded, name) == getattr(trained, name), name
    assert list(path.parent.iterdir()) == [path]
    built = loaded.build()
    assert not built.training
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in built.state_dict().items())


def test_a_study_may_be_unknown(network, tmp_path):
    TrainedModel.from_trial(
        network, TRIAL, classes=CLASSES, bands=BANDS, scaling=uint8_scaling(3)
    ).save(tmp_path / "m.pt")
    assert TrainedModel.load(tmp_path / "m.pt").study is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"network": "vit"},
            r"network must be one of unet, urec, encoder-unet, encoder-urec or .*, got 'vit'",
        ),
        ({"method_parameters": [1]}, "method_parameters must be values by name"),
        ({"width": 0}, "width must be a positive integer, got 0"),
        ({"downsample": 0}, "downsample must be a positive integer"),
        ({"step_px": 97}, r"step_px must be in 1 ... window_px \(96\), got 97"),
        ({"bands": ()}, "bands must be one name or more"),
        ({"classes": CLASSES[:1]}, "classes must be 2 to 254"),
        ({"scaling": uint8_scaling(4)}, "scaling must be of the 3 bands, got BandScaling"),
        ({"state": {"a": torch.tensor([1, np.inf])}}, "weights must be finite.* in a$"),
    ],
)
def test_fields_that_cannot_be(trained, changed, message):
    with pytest.raises(DataError, match=message):
        replace(trained, **changed)


OWN = """
from torch import nn

def network(num_channels, num_classes, depth=1):
    layers = [nn.Conv2d(num_channels, num_channels, 1) for _ in range(depth)]
    return nn.Sequential(*layers, nn.Conv2d(num_channels, num_classes, 1))
"""


@pytest.fixture
def own(own_module, tmp_path):
    """File of an own network with a parameter, and the name of its module."""
    name = own_module(OWN)
    trial = replace(
        TRIAL,
        model="mine",
        network=f"{name}:network",
        unannotated="nothing",
        training=replace(TRIAL.training, method_parameters={"depth": 3}),
    )
    network = build_network(trial.network, 3, 2, parameters={"depth": 3})
    TrainedModel.from_trial(
        network, trial, classes=CLASSES, bands=BANDS, scaling=uint8_scaling(3)
    ).save(tmp_path / "m.pt")
    return tmp_path / "m.pt", name, network


def test_an_own_network_is_kept_by_name_with_its_parameters(own):
    path, name, network = own
    loaded = TrainedModel.load(path)
    assert (loaded.network, loaded.method_parameters) == (f"{name}:network", {"depth": 3})
    built = loaded.build()
    assert not built.training
    assert not built.has_reconstruction
    images = torch.rand(1, 3, 40, 33)
    assert torch.equal(built(images).logits, network.eval()(images).logits)


def test_code_of_an_own_network_runs_when_it_is_built_not_when_it_is_read(own, monkeypatch):
    path, name, _ = own
    monkeypatch.delitem(sys.modules, name)
    loaded = TrainedModel.load(path)
    assert name not in sys.modules
    Path(path.parent / f"{name}.py").unlink()
    importlib.invalidate_caches()
    message = f"got '{name}:network': .* put the folder that holds {name} on PYTHONPATH"
    with pytest.raises(ConfigError, match=message):
        loaded.build()


@pytest.mark.parametrize("version", [2, 3])
def test_files_of_earlier_versions_are_read(trained, network, tmp_path, version):
    path = tmp_path / "m.pt"
    trained.save(path)
    content = torch.load(path, weights_only=True)
    del content["method_parameters"]
    if version == 2:
        del content["nodata"]
    torch.save({**content, "version": version}, path)
    state = TrainedModel.load(path).build().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_weights_of_another_network(trained):
    with pytest.raises(DataError, match="weights must be those of a urec of width 3 for 3 bands"):
        replace(trained, width=3).build()


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"model file must be readable, got: No such file .*m\.pt"):
        TrainedModel.load(tmp_path / "m.pt")


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "m.pt"
    for content in (b"", b"no model", pickle.dumps({"a": 1}), b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="model file must be a trained model, got"):
            TrainedModel.load(path)
    torch.save({"0.weight": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="got other content"):
        TrainedModel.load(path)


def test_a_truncated_file(trained, tmp_path):
    path = tmp_path / "m.pt"
    trained.save(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"model file must be a trained model"):
        TrainedModel.load(path)


def test_a_file_from_elsewhere_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save(Evil(), tmp_path / "m.pt")
    with pytest.raises(DataError, match="model file must be a trained model"):
        TrainedModel.load(tmp_path / "m.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(version=1), "must be of version 2 or 3 or 4 or 5, got 1"),
        (
            lambda content: content["scaling"].update(dtype="int16"),
            r"dtype must be one of uint8, uint16, float32, got 'int16' in .*m\.pt",
        ),
        (lambda content: content["scaling"]["low"].pop(), r"scaling must have a low .* in .*m\.pt"),
        (
            lambda content: content["scaling"].pop("high"),
            "must hold the fields of a trained model",
        ),
        (
            lambda content: content.update(scaling=((0.0, 1.0),) * 3),
            "must hold the fields of a trained model",
        ),
        (lambda content: content.pop("scaling"), "must hold the fields of a trained model"),
        (lambda content: content.pop("classes"), "must hold the fields of a trained model"),
        (lambda content: content.update(more=1), "must hold the fields of a trained model"),
        (lambda content: content.update(step_px=1000), r"step_px must be in .* in .*m\.pt"),
    ],
)
def test_a_file_that_was_changed(trained, tmp_path, change, message):
    path = tmp_path / "m.pt"
    trained.save(path)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    with pytest.raises(DataError, match=message):
        TrainedModel.load(path)
