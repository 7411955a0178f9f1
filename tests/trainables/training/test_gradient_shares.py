import math

import pytest
import torch
from torch import nn

from trainables.methods.losses import reconstruction_loss, segmentation_loss
from trainables.networks.build import build_network
from trainables.settings.process_group import ALONE
from trainables.training.gradient_shares import gradient_shares, kept_buffers, probed_steps


def test_shares_by_hand_over_the_weights_that_both_terms_train():
    shared, head, other = (nn.Parameter(torch.tensor(value)) for value in ([3.0, 4.0], 2.0, 7.0))
    terms = {
        "loss_seg": shared.sum() * head,  # (2, 2) for what is shared, and a part of its own
        "loss_rec": (shared * torch.tensor([3.0, 4.0])).sum() + 5 * other,  # (3, 4)
    }
    weights = {"loss_seg": 0.9, "loss_rec": 0.1}
    shares = gradient_shares(terms, weights, [shared, head, other], ALONE)
    seg, rec = 0.9 * math.sqrt(8), 0.1 * 5
    assert shares["loss_rec"] == pytest.approx(rec / (seg + rec))
    assert sum(shares.values()) == pytest.approx(1)
    assert all(one.grad is None for one in (shared, head, other))


def test_a_term_of_weight_0_has_no_share_and_terms_that_share_nothing_none_at_all():
    shared, head, other = (nn.Parameter(torch.tensor(value)) for value in (1.0, 2.0, 3.0))
    terms = {"loss_seg": shared * head, "loss_rec": shared * other}
    off = gradient_shares(terms, {"loss_seg": 1.0, "loss_rec": 0.0}, [shared, head, other], ALONE)
    assert off == {"loss_seg": 1.0, "loss_rec": 0.0}
    even = {"loss_seg": 0.5, "loss_rec": 0.5}
    assert gradient_shares(terms, even, [head, other], ALONE) == {}
    still = {"loss_seg": shared * 0.0, "loss_rec": shared * 0.0}
    assert gradient_shares(still, even, [shared], ALONE) == {}
    wild = {"loss_seg": shared * math.inf, "loss_rec": shared}
    assert gradient_shares(wild, even, [shared], ALONE) == {}


def test_u_rec_shares_its_encoder_and_the_blocks_of_both_decoders():
    """Shares equal those of a plain backward pass for each term, over the weights named here."""
    model = build_network("urec", 3, 4, width=2)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 32, 32, generator=generator)
    masks = torch.randint(0, 4, (2, 32, 32), generator=generator)

    def terms():
        output = model(images, num_segment=2)
        return {
            "loss_seg": segmentation_loss(output.logits, masks),
            "loss_rec": reconstruction_loss(output.reconstruction, images),
        }

    weights = {"loss_seg": 0.8, "loss_rec": 0.2}
    found = gradient_shares(terms(), weights, list(model.parameters()), ALONE)
    norms = {}
    for name, weight in weights.items():
        model.zero_grad()
        (weight * terms()[name]).backward()
        gradients = [
            one.grad.flatten()
            for key, one in model.named_parameters()
            if key.startswith(("encoder.", "segmentation.refinements."))
        ]
        norms[name] = float(torch.cat(gradients).norm())
    assert len(gradients) < len(list(model.parameters()))
    expected = norms["loss_rec"] / sum(norms.values())
    assert found["loss_rec"] == pytest.approx(expected, rel=1e-4)


class Drifting(nn.Module):
    """Writes into one buffer and replaces another, as running averages of one's own do."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("unsaved", torch.ones(3), persistent=False)

    def forward(self, x):
        self.unsaved.mul_(0.5)
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
        return self.norm(x) - self.mean


def test_buffers_are_as_before_whether_written_into_or_replaced():
    network = Drifting()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    held = dict(network.named_buffers())
    assert set(before) == {
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked", "mean", "unsaved",
    }  # fmt: skip
    with kept_buffers(network):
        network(torch.randn(5, 3)).sum().backward()
        assert all(not torch.equal(before[name], one) for name, one in network.named_buffers())
    for name, buffer in network.named_buffers():
        assert buffer is held[name]
        assert torch.equal(buffer, before[name])
    with pytest.raises(RuntimeError), kept_buffers(network):
        network(torch.randn(5, 4))  # it fails half way
    assert network.unsaved is held["unsaved"]
    assert torch.equal(network.unsaved, before["unsaved"])
    assert torch.equal(network.norm.running_mean, before["norm.running_mean"])


@pytest.mark.parametrize(
    ("validations", "expected"),
    [
        ([30], {30}),
        ([13, 26, 120], {120}),
        (list(range(100, 3001, 100)), set(range(200, 3001, 200))),
        ([150, 400, 449, 600], {150, 400, 600}),
        (list(range(1000, 5000, 1000)), {1000, 2000, 3000, 4000}),
    ],
)
def test_the_last_validation_is_probed_and_few_before(validations, expected):
    assert probed_steps(validations) == expected
