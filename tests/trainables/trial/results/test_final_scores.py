"""What the test tiles of a trained network give; the files are tested with the trial."""

import json

import pytest
import torch

from contract.names import CONFUSION
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.networks.build import build_network
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup
from trainables.settings.seeds import torch_generator
from trainables.training.loop import TrainingData
from trainables.trial.folder.trial_files import TrialFiles
from trainables.trial.results import final_scores
from trainables.trial.results.final_scores import score_test_tiles

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
TRAINING = TrainingConfig(width=1, batch_size=2, infer_window_px=64, infer_step_px=64)


@pytest.fixture
def score(random_tiles, tmp_path, monkeypatch):
    tiles = random_tiles(eroded=True)
    unit = Unit(kind="block", size_px=32)
    _, pixels = draw_budget(tiles, fraction=1.0, seed=0, unit=unit, num_classes=3)
    data = TrainingData(
        train=tiles, annotated=pixels, val=tiles, scaling=uint8_scaling(3),
        class_names=("a", "b", "c"), exclude_from_mean=(),
    )  # fmt: skip
    model = build_network(
        "unet", num_channels=3, num_classes=3, width=1, generator=torch_generator(0, "weights")
    ).eval()

    def score(group):
        if group.size > 1:  # without the others, who would be waited for
            monkeypatch.setattr(ProcessGroup, "wait", lambda self: None)
            monkeypatch.setattr(ProcessGroup, "sum", lambda self, tensor: tensor)
        with TrialFiles(tmp_path / "trial", None) as files:
            return score_test_tiles(
                model, TRAINING, data, tiles, map_colors=None, group=group, device=CPU, files=files
            )

    return score


def test_scores_and_time_of_the_evaluation_alone(score, tmp_path, monkeypatch):
    times = iter([10.0, 12.5])
    monkeypatch.setattr(final_scores.time, "perf_counter", lambda: next(times))
    found = score(ProcessGroup())
    assert found["perf/test_s"] == 2.5
    record = json.loads((tmp_path / "trial" / CONFUSION).read_text())
    for reference, split in (("full", "test"), ("eroded", "test_eroded")):
        pooled = torch.tensor([tile[reference] for tile in record["tiles"]]).sum(dim=0)
        assert found[f"{split}/oa"] == pytest.approx(float(pooled.trace() / pooled.sum()))


def test_the_first_worker_alone_has_scores(score, tmp_path):
    assert score(ProcessGroup(rank=1, size=2)) == {}
    assert not (tmp_path / "trial").exists()
