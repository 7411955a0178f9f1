import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.data.patches.strong_views import StrongViews
from trainables.methods import METHODS
from trainables.methods.pseudo_labels import PseudoLabels, pseudo_label_terms
from trainables.methods.segmentation import segmentation_term
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE

TRAINING = replace(TrainingConfig(), batch_size=2, pseudo_threshold=0.6, pseudo_weight=0.7)
NUM_CLASSES = 3
SIDE = 6


def _batch(num_bands=3, *, num_views=3, num_patches=None, num_anywhere=0, seed=0):
    """Two annotated patches, views with nodata and boxes, and scores of a teacher."""
    generator = torch.Generator().manual_seed(seed)
    num_patches = num_views if num_patches is None else num_patches
    square = (SIDE, SIDE)
    masks = torch.randint(NUM_CLASSES, (2, *square), generator=generator)
    masks[torch.rand(2, *square, generator=generator) < 0.3] = IGNORE_INDEX
    num = 2 + num_anywhere
    return Batch(
        images=torch.rand(num, num_bands, *square, generator=generator),
        masks=masks,
        shown=torch.rand(num, *square, generator=generator) > 0.2,
        views=StrongViews(
            patches=torch.rand(num_patches, num_bands, *square, generator=generator),
            images=torch.rand(num_views, num_bands, *square, generator=generator),
            pasted=torch.rand(num_views, *square, generator=generator) > 0.5,
            shown=torch.rand(num_views, *square, generator=generator) > 0.3,
        ),
        taught=2 * torch.randn(num_patches, NUM_CLASSES, *square, generator=generator),
    )


def _logits(num, seed=9):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, NUM_CLASSES, SIDE, SIDE, generator=generator)


def _expected(logits, batch, threshold):
    """The loss, and the share of pixels with a label, pixel by pixel."""
    views = batch.views
    total, num_labelled, num_shown = 0.0, 0, 0
    for view in range(len(views.images)):
        for row in range(SIDE):
            for column in range(SIDE):
                if not views.shown[view, row, column]:
                    continue
                num_shown += 1
                patch = view
                if views.pasted[view, row, column]:
                    patch = (view + 1) % len(batch.taught)
                scores = np.exp(batch.taught[patch, :, row, column].double().numpy())
                shares = scores / scores.sum()
                if shares.max() < threshold:
                    continue
                num_labelled += 1
                said = np.exp(logits[view, :, row, column].double().numpy())
                total -= math.log(said[shares.argmax()] / said.sum())
    return total / num_shown, num_labelled / num_shown


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.9])
@pytest.mark.parametrize("num_patches", [3, 4])
@pytest.mark.parametrize("num_bands", [1, 3, 8])
def test_the_term_is_that_of_a_loop_over_pixels(num_bands, num_patches, threshold):
    """Averaged over all pixels that show something, and not over those with a label."""
    batch, logits = _batch(num_bands, num_patches=num_patches), _logits(3)
    training = replace(TRAINING, pseudo_threshold=threshold)
    found = pseudo_label_terms(logits, batch, training, ALONE)
    loss, share = _expected(logits, batch, threshold)
    assert float(found["loss_pseudo"]) == pytest.approx(loss, rel=1e-5)
    assert float(found["pseudo_share"]) == pytest.approx(share, rel=1e-6)
    assert found["loss_pseudo"].dtype == torch.float32
    assert 0 < share <= 1
    assert (share == 1) == (threshold == 0)


def test_two_pixels_by_hand():
    """One pixel of two is sure (0.9), of class 1; the student gives it 1/2: log(2) / 2."""
    everywhere = torch.ones(1, 1, 2, dtype=torch.bool)
    image = torch.zeros(1, 1, 1, 2)
    taught = torch.tensor([[[0.1, 0.5]], [[0.9, 0.5]]]).log()[None]
    batch = Batch(
        images=image,
        masks=torch.zeros(1, 1, 2, dtype=torch.int64),
        shown=everywhere,
        views=StrongViews(patches=image, images=image, pasted=~everywhere, shown=everywhere),
        taught=taught,
    )
    found = pseudo_label_terms(torch.zeros(1, 2, 1, 2), batch, TRAINING, ALONE)
    assert float(found["loss_pseudo"]) == pytest.approx(math.log(2) / 2)
    assert float(found["pseudo_share"]) == 0.5


def test_unsure_and_hidden_pixels_have_no_gradient():
    batch, logits = _batch(), _logits(3).requires_grad_()
    found = pseudo_label_terms(logits, batch, TRAINING, ALONE)
    found["loss_pseudo"].backward()
    moved = (logits.grad != 0).any(dim=1)
    sure = batch.views.mix(batch.taught.softmax(dim=1).amax(dim=1)) >= 0.6
    assert torch.equal(moved, sure & batch.views.shown)


@pytest.mark.parametrize("emptied", ["shown", "sure"])
def test_without_a_label_the_term_is_0(emptied):
    """Patches from anywhere may lie on nodata alone: no reason to end a trial."""
    batch = _batch()
    if emptied == "shown":
        views = replace(batch.views, shown=torch.zeros_like(batch.views.shown))
        batch = replace(batch, views=views)
    else:
        batch = replace(batch, taught=torch.zeros_like(batch.taught))
    found = pseudo_label_terms(_logits(3), batch, TRAINING, ALONE)
    assert {name: float(one) for name, one in found.items()} == {
        "loss_pseudo": 0.0, "pseudo_share": 0.0,
    }  # fmt: skip


def test_low_precision_of_the_teacher_gives_no_other_labels_than_its_scores_say():
    batch = _batch()
    halved = replace(batch, taught=batch.taught.bfloat16())
    same = replace(batch, taught=batch.taught.bfloat16().float())
    one, two = (pseudo_label_terms(_logits(3), x, TRAINING, ALONE) for x in (halved, same))
    assert {name: float(x) for name, x in one.items()} == {
        name: float(x) for name, x in two.items()
    }


class _OfTwo:
    """One of two workers, the other of which has this many pixels more."""

    size = 2

    def __init__(self, num_more):
        self.num_more = num_more

    def sum(self, tensor):
        return tensor + self.num_more


def test_the_mean_over_workers_is_the_term_of_the_whole_batch():
    """Views of 2 and 1, with unequal numbers of pixels that show something."""
    batch, logits = _batch(num_views=3), _logits(3)
    whole = pseudo_label_terms(logits, batch, TRAINING, ALONE)
    views = batch.views
    found = []
    for mine, patches in (([0, 1], [0, 1, 2]), ([2], [2, 0])):
        share = StrongViews(
            patches=views.patches[patches],
            images=views.images[mine],
            pasted=views.pasted[mine],
            shown=views.shown[mine],
        )
        part = replace(batch, views=share, taught=batch.taught[patches])
        others = int(views.shown.sum() - share.shown.sum())
        found.append(pseudo_label_terms(logits[mine], part, TRAINING, _OfTwo(others)))
    for name, value in whole.items():
        mean = (float(found[0][name]) + float(found[1][name])) / 2
        assert mean == pytest.approx(float(value), rel=1e-6), name


def test_the_segmentation_stays_that_of_the_annotated_pixels():
    batch, logits = _batch(), _logits(5)
    for seg_loss in ("ce", "ce_dice", "focal"):
        training = replace(TRAINING, seg_loss=seg_loss)
        terms = PseudoLabels().terms(logits, None, batch, training, ALONE)
        alone = segmentation_term(logits[:2], batch, training, ALONE)
        assert float(terms["loss_seg"]) == float(alone)
        pseudo = pseudo_label_terms(logits[2:], batch, training, ALONE)
        expected = float(alone + 0.7 * pseudo["loss_pseudo"])
        assert float(terms["loss"]) == pytest.approx(expected, rel=1e-6)


def test_strong_views_do_not_count_in_the_reconstruction():
    method = METHODS["reconstruction-and-pseudo-labels"]
    batch, logits = _batch(num_anywhere=3), _logits(5)
    rebuilt = torch.rand(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    terms = method.terms(logits, rebuilt, batch, TRAINING, ALONE)
    of_views = rebuilt.clone()
    of_views[2:5] = 7.0
    again = method.terms(logits, of_views, batch, TRAINING, ALONE)
    assert {name: float(x) for name, x in terms.items()} == {
        name: float(x) for name, x in again.items()
    }
    published = METHODS["reconstruction"].terms(
        logits[:2], rebuilt[[0, 1, 5, 6, 7]], replace(batch, views=None), TRAINING, ALONE
    )
    assert float(terms["loss_rec"]) == float(published["loss_rec"])
    total = float(published["loss"]) + 0.7 * float(terms["loss_pseudo"])
    assert float(terms["loss"]) == pytest.approx(total, rel=1e-6)


def test_one_patch_from_anywhere_is_labelled_for_each_annotated_one():
    alone, both = METHODS["pseudo-labels"], METHODS["reconstruction-and-pseudo-labels"]
    more = replace(TRAINING, rec_patches=3)
    assert [(alone.num_anywhere(x), alone.num_views(x)) for x in (TRAINING, more)] == [(0, 2)] * 2
    assert [(both.num_anywhere(x), both.num_views(x)) for x in (TRAINING, more)] == [(2, 2), (6, 6)]
    annotated = replace(TRAINING, reconstruct_on="annotated")
    assert (both.num_anywhere(annotated), both.num_views(annotated)) == (0, 2)
