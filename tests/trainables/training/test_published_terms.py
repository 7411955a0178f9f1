"""With every parameter at its default, training is bit for bit what it was before there was any.

What was trained then is kept here: the two objectives with their losses, and U-REC's forward pass.
"""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.methods import METHODS
from trainables.networks.layers.blocks import crop_to, pad_to_stride
from trainables.networks.network import NetworkConfig, Output, first_images
from trainables.networks.urec import UREC
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.training import loop, step
from trainables.training.loop import TrainingData, train

pytestmark = pytest.mark.numbers

PUBLISHED = TrainingConfig(
    width=1,
    patch_px=32,
    stride_px=16,
    batch_size=3,
    steps=16,
    epochs=None,
    lr=1e-3,
    num_validations=1,
    infer_window_px=64,
    infer_step_px=64,
)


def _segmentation(logits, masks, num_px):
    losses = F.cross_entropy(
        logits.float(), masks.long(), ignore_index=IGNORE_INDEX, reduction="none"
    )
    return losses.sum() / num_px


def _reconstruction(reconstruction, images, valid, num_px):
    errors = (reconstruction.float() - images.float()).abs()
    return errors.mean(dim=1).where(valid, 0.0).sum() / num_px


class _Supervised:
    needs_reconstruction = False
    weights = METHODS["nothing"].weights  # asked by probes, which change no training

    def num_anywhere(self, training):
        return 0

    def num_views(self, training):
        return 0

    def terms(self, logits, reconstruction, batch, training, group):
        num_px = group.sum((batch.masks != IGNORE_INDEX).sum()) / group.size
        loss = _segmentation(logits, batch.masks, num_px)
        return {"loss": loss, "loss_seg": loss}


class _Reconstruction:
    needs_reconstruction = True
    weights = METHODS["reconstruction"].weights

    def num_anywhere(self, training):
        return training.batch_size if training.reconstruct_on == "all" else 0

    def num_views(self, training):
        return 0

    def terms(self, logits, reconstruction, batch, training, group):
        annotated = batch.masks != IGNORE_INDEX
        valid = annotated if training.reconstruct_on == "annotated" else batch.shown
        num_px = group.sum(torch.stack([annotated.sum(), valid.sum()])) / group.size
        loss_seg = _segmentation(logits, batch.masks, num_px[0])
        loss_rec = _reconstruction(reconstruction, batch.images, valid, num_px[1])
        loss = training.w1 * loss_rec.float() + (1 - training.w1) * loss_seg.float()
        return {"loss": loss, "loss_seg": loss_seg, "loss_rec": loss_rec}


def _forward(self, images, num_segment=None):
    num_segment = len(first_images(images, num_segment))
    features, bottom = self.encoder(pad_to_stride(images))
    logits = self.segmentation([f[:num_segment] for f in features], bottom[:num_segment])
    x = bottom
    for entry, refine in zip(
        self.reconstruction.entries, self.segmentation.refinements, strict=True
    ):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = refine(entry(x))
    return Output(crop_to(logits, images), crop_to(self.reconstruction.head(x), images))


@pytest.fixture
def data(random_tiles):
    tiles = random_tiles()
    unit = Unit(kind="block", size_px=16)
    _, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3)
    return TrainingData(
        train=tiles,
        annotated=pixels,
        scaling=uint8_scaling(3),
        val=random_tiles([(40, 33)], seed=9),
        class_names=("a", "b", "c"),
        exclude_from_mean=(),
    )


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("unet", {}),
        ("urec", {}),
        ("urec", {"reconstruct_on": "annotated", "w1": 0.4}),
        ("urec", {"precision": "bf16", "sampling": "random", "augment": True, "ema_decay": 0.5}),
    ],
    ids=["unet", "all", "annotated", "bf16"],
)
def test_weights_after_16_steps_are_those_of_before(data, tmp_path, monkeypatch, model, fields):
    trial = TrialConfig(
        key="t",
        phase="search",
        model=model,
        label_frac=0.3,
        seed=1,
        training=replace(PUBLISHED, **fields),
    )

    def run():
        return train(
            trial,
            data,
            device=torch.device("cpu"),
            checkpoint=tmp_path / "none.pt",
            report=_ignore,
            checkpoint_every_s=math.inf,
        )

    now = run()
    frozen = {"nothing": _Supervised(), "reconstruction": _Reconstruction()}
    for module in (loop, step):
        monkeypatch.setattr(module, "METHODS", frozen)
    monkeypatch.setattr(UREC, "forward", _forward)
    before = run()
    one, other = now.model.state_dict(), before.model.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert now.history == before.history
    assert len(now.history) == 16


def _ignore(step, rows):
    pass


def test_names_of_the_published_weights_are_those_of_before():
    """A checkpoint or model file of before holds them."""
    names = UREC(3, 3, NetworkConfig(width=1)).state_dict()
    norms = {name.rpartition(".")[0] for name in names if name.endswith("running_mean")}
    assert len(norms) == 35
    assert all(name.endswith(".1") for name in norms)
    assert not any("reconstruction.refinements" in name for name in names)
