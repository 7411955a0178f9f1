import math
from dataclasses import replace

import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import dice_loss, segmentation_loss
from trainables.methods.segmentation import class_weights, segmentation_term
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE

pytestmark = pytest.mark.numbers


@pytest.fixture
def logits():
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def batch():
    masks = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    masks[:, 2] = IGNORE_INDEX
    shown = torch.ones(2, 4, 5, dtype=torch.bool)
    return Batch(images=torch.rand(2, 3, 4, 5), masks=masks, shown=shown)


def test_weights_by_hand():
    """Of 100, 25 and 0 pixels: 1/10 and 1/5, whose mean over the pixels is 15 / 125."""
    weights = class_weights("sqrt_inverse", (100, 25, 0))
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([0.1 / 0.12, 0.2 / 0.12, 0.0])
    counts = torch.tensor([100.0, 25.0, 0.0])
    assert ((weights * counts).sum() / counts.sum()).item() == pytest.approx(1)
    assert class_weights("none", (100, 25, 0)) is None


@pytest.mark.parametrize("counts", [(), (0, 0)])
def test_weights_ask_for_the_counts_of_a_budget(counts):
    with pytest.raises(ValueError, match="class_px must count an annotated pixel, got"):
        class_weights("sqrt_inverse", counts)
    assert class_weights("none", counts) is None


def test_terms(logits, batch):
    weights = torch.tensor([0.5, 2.0, 1.0])
    masks = batch.masks
    entropy, dice = segmentation_loss(logits, masks), dice_loss(logits, masks)
    expected = {
        ("ce", False): entropy,
        ("ce_dice", False): entropy + dice,
        ("focal", False): segmentation_loss(logits, masks, focal=True),
        ("ce", True): segmentation_loss(logits, masks, class_weights=weights),
        ("ce_dice", True): segmentation_loss(logits, masks, class_weights=weights) + dice,
        ("focal", True): segmentation_loss(logits, masks, class_weights=weights, focal=True),
    }
    found = {}
    for (name, weighted), value in expected.items():
        given = replace(batch, class_weights=weights if weighted else None)
        found[name, weighted] = segmentation_term(
            logits, given, TrainingConfig(seg_loss=name), ALONE
        ).item()
        assert found[name, weighted] == pytest.approx(value.item(), rel=1e-6)
    assert len({round(value, 5) for value in found.values()}) == len(found)
    assert all(map(math.isfinite, found.values()))
