"""The files in docs/networks.md are complete: they are found, checked, trained and applied."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from contract.space import parse_space
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.networks.own import check_network, find_method
from trainables.predict.command import main
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.training.loop import TrainingData, train

DOCUMENT = Path(__file__).parents[3] / "docs" / "networks.md"
TRAINING = TrainingConfig(
    width=2, patch_px=32, sampling="random", batch_size=2, steps=2, epochs=None,
    num_validations=1, infer_window_px=48, infer_step_px=32,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files of the document, on the path."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["mynets/unetpp.py", "mynets/rows.py"]
    for name, text in blocks:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "mynets"]:
        del sys.modules[name]


def test_the_rows_are_the_methods_that_the_document_says(folder):
    factory, row = find_method("mynets.unetpp:UNetPP"), find_method("mynets.rows:DEEP")
    assert (factory.label, factory.unannotated) == ("UNetPP", "nothing")
    assert (row.name, row.label, row.network) == ("unetpp", "U-Net++", factory.network)
    parameters = {one.name: one for one in row.parameters}
    (depth,) = parse_space("depth=2..4", parameters)
    assert (depth.low, depth.high) == (2, 4)


def test_the_network_is_the_published_one_at_depth_1(folder):
    """One node: what is concatenated is the finest block and the one below, upsampled."""
    network = build_network("mynets.unetpp:UNetPP", 3, 4, width=2, parameters={"depth": 1}).eval()
    own, images = network.own, torch.rand(1, 3, 32, 32)
    fine = own.down[0](images)
    coarse = own.up(own.down[1](own.pool(fine)))
    expected = own.head(own.nodes[0][0](torch.cat([fine, coarse], dim=1)))
    assert torch.equal(network.segment(images), expected)


def test_it_is_trained_and_applied_like_any_other(folder, random_tiles, tmp_path):
    method = find_method("mynets.rows:DEEP")
    training = replace(TRAINING, method_parameters={"depth": 2})
    check_network(method, training, 3, 3)
    tiles, unit = random_tiles(), Unit(kind="block", size_px=16)
    _, annotated = draw_budget(tiles, fraction=0.4, seed=0, unit=unit, num_classes=3)
    data = TrainingData(
        train=tiles, annotated=annotated, val=random_tiles([(40, 33)]), scaling=uint8_scaling(3),
        class_names=("a", "b", "c"), exclude_from_mean=(),
    )  # fmt: skip
    trial = TrialConfig(
        key="confirm-unetpp-f0.40-s1", phase="confirm", model=method.name, network=method.network,
        unannotated=method.unannotated, label_frac=0.4, seed=1, training=training,
    )  # fmt: skip
    result = train(
        trial, data, device=torch.device("cpu"), checkpoint=tmp_path / "state.pt",
        report=lambda step, rows: None,
    )  # fmt: skip
    TrainedModel.from_trial(
        result.model,
        trial,
        classes=[ClassSpec(name=name, color=(0, 0, 9 * i)) for i, name in enumerate("abc")],
        bands=("red", "green", "blue"),
        scaling=data.scaling,
    ).save(tmp_path / "model.pt")
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=50, height=41, count=3, dtype="uint8"
    ) as raster:
        raster.write(np.random.default_rng(0).integers(0, 256, (3, 41, 50), dtype=np.uint8))
    options = ["--model", str(tmp_path / "model.pt"), "--out", str(tmp_path / "maps")]
    assert main([*options, "--device", "cpu", str(tmp_path / "a.tif")]) == 0
    with rasterio.open(tmp_path / "maps" / "a_classes.tif") as classes:
        assert set(np.unique(classes.read())) <= {0, 1, 2}
    assert main([*options, "--reconstruction", str(tmp_path / "a.tif")]) == 2
