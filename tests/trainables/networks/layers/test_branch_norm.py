"""Statistics of each branch its own, and a decoder of its own."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.networks.build import build_network
from trainables.networks.layers.branch_norm import BranchNorm, reconstruction_statistics

pytestmark = pytest.mark.numbers

PUBLISHED = 25_062_729


def _images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _urec(width=2, **parameters):
    return build_network("urec", width=width, parameters=parameters)


def _block_parameters(inputs, outputs):
    """Weights and bias of a 3x3 convolution, and the affine weights of its normalisation."""
    return 9 * inputs * outputs + outputs + 2 * outputs


def test_own_blocks_add_their_parameters():
    chains = [(512, 512, 256, 256), (256, 256, 128, 128), (128, 128, 64, 64), (64, 32, 32)]
    added = sum(_block_parameters(a, b) for of in chains for a, b in pairwise(of))
    assert added == 5_452_224
    own = sum(one.numel() for one in _urec(width=32, rec_decoder="own").parameters())
    assert own == PUBLISHED + added == 30_514_953


def test_separate_statistics_add_no_parameters():
    separate = _urec(width=32, branch_norm="separate")
    assert sum(one.numel() for one in separate.parameters()) == PUBLISHED


@pytest.mark.parametrize(
    "parameters",
    [{"rec_decoder": "own"}, {"branch_norm": "separate"},
     {"rec_decoder": "own", "branch_norm": "separate"}],
    ids=["own", "separate", "both"],
)  # fmt: skip
def test_weights_of_what_is_common_are_the_same(parameters):
    published = dict(_urec().named_parameters())
    changed = {
        name.replace(".1.segmentation.", ".1."): one
        for name, one in _urec(**parameters).named_parameters()
    }
    added = changed.keys() - published.keys()
    assert published.keys() <= changed.keys()
    assert all(torch.equal(published[name], changed[name]) for name in published)
    assert all(name.startswith("reconstruction.refinements.") for name in added)
    assert bool(added) == ("rec_decoder" in parameters)


def test_own_blocks_share_nothing():
    network = _urec(rec_decoder="own")
    network.reconstruct(_images(2, 3, 64, 64)).square().mean().backward()
    trained = {name for name, one in network.named_parameters() if one.grad is not None}
    assert trained
    assert all(name.startswith(("encoder.", "reconstruction.")) for name in trained)


@pytest.mark.parametrize("decoder", ["shared", "own"])
@pytest.mark.parametrize("norm", ["shared", "separate"])
@pytest.mark.parametrize("num_segment", [2, 4])
def test_every_parameter_receives_a_gradient(decoder, norm, num_segment):
    network = _urec(rec_decoder=decoder, branch_norm=norm)
    out = network(_images(4, 3, 64, 64), num_segment=num_segment)
    (out.logits.square().mean() + out.reconstruction.square().mean()).backward()
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


def test_the_segmentation_of_separate_branches_is_that_of_a_unet():
    """Whatever else is reconstructed: logits and running statistics, bitwise, step after step."""
    separate = _urec(width=4, branch_norm="separate")
    unet = build_network("unet", width=4)
    for step in range(3):
        images = _images(5, 3, 64, 64, seed=step)
        expected = unet(images[:2]).logits
        assert torch.equal(separate(images, num_segment=2).logits, expected)
    state = {
        name.replace(".1.segmentation.", ".1."): one for name, one in separate.state_dict().items()
    }
    assert all(torch.equal(state[name], one) for name, one in unet.state_dict().items())
    images = _images(1, 3, 64, 64)
    assert torch.equal(separate.eval().segment(images), unet.eval().segment(images))
    assert torch.equal(separate(images).logits, unet(images).logits)


def test_the_published_statistics_take_in_both():
    shared, unet = _urec(width=4), build_network("unet", width=4)
    images = _images(5, 3, 64, 64)
    shared(images, num_segment=2), unet(images[:2])
    name = "encoder.stages.0.0.1.running_mean"
    assert not torch.equal(shared.state_dict()[name], unet.state_dict()[name])


def test_each_branch_fills_its_own_statistics():
    network = _urec(branch_norm="separate")
    network(_images(5, 3, 64, 64), num_segment=2)
    seen = {n: int(v) for n, v in network.state_dict().items() if n.endswith("batches_tracked")}
    assert set(seen.values()) == {1}
    of_encoder = network.encoder.stages[0][0][1]
    assert isinstance(of_encoder, BranchNorm)
    one, other = of_encoder.segmentation.running_mean, of_encoder.reconstruction.running_mean
    assert not torch.equal(one, other)


def test_patches_from_anywhere_are_normalised_by_themselves():
    network = _urec(width=4, branch_norm="separate")
    alone = copy.deepcopy(network)
    images = _images(5, 3, 64, 64)
    _, bottom = network._encode(images, 2)
    with reconstruction_statistics(alone):
        _, expected = alone.encoder(images[2:])
    assert torch.equal(bottom[2:], expected)


def test_in_evaluation_every_image_is_encoded_by_the_statistics_of_the_segmentation():
    network = _urec(width=4, branch_norm="separate").double()
    images = _images(5, 3, 64, 64).double()
    network(images, num_segment=2)
    network.eval()
    whole, part = network(images), network(images, num_segment=2)
    torch.testing.assert_close(part.reconstruction, whole.reconstruction)
    torch.testing.assert_close(part.logits, whole.logits[:2])
    assert torch.equal(network.reconstruct(images), whole.reconstruction)


def test_the_reconstruction_is_evaluated_by_its_own_statistics():
    network = _urec(width=4, branch_norm="separate")
    network(_images(5, 3, 64, 64), num_segment=2)
    network.eval()
    images = _images(2, 3, 64, 64)
    before = network.reconstruct(images)
    for norm in network.segmentation.refinements.modules():
        if isinstance(norm, BranchNorm):
            norm.segmentation.running_mean += 1.0
    assert torch.equal(network.reconstruct(images), before)


def test_the_affine_weights_are_one_set():
    norm = BranchNorm(nn.BatchNorm2d(3))
    assert {name for name, _ in norm.named_parameters()} == {
        "segmentation.weight", "segmentation.bias",
    }  # fmt: skip
    with torch.no_grad():
        norm.segmentation.weight.fill_(2.0)
        norm.segmentation.bias.fill_(0.5)
    x = _images(4, 3, 8, 8)
    expected = norm(x)
    with reconstruction_statistics(norm):
        torch.testing.assert_close(norm(x), expected)
        assert norm(x.bfloat16()).dtype == torch.bfloat16


def test_both_statistics_are_synchronised_over_workers():
    network = nn.SyncBatchNorm.convert_sync_batchnorm(_urec(branch_norm="separate"))
    norm = network.encoder.stages[0][0][1]
    assert isinstance(norm, BranchNorm)
    assert isinstance(norm.segmentation, nn.SyncBatchNorm)
    assert isinstance(norm.reconstruction, nn.SyncBatchNorm)


def test_the_branch_is_put_back_where_the_inside_fails():
    norm = BranchNorm(nn.BatchNorm2d(3))
    with pytest.raises(KeyError), reconstruction_statistics(norm):
        raise KeyError
    assert not norm.is_reconstructing


@pytest.mark.parametrize("name", ["branch_norm", "rec_decoder"])
def test_other_values_are_refused(name):
    with pytest.raises(ConfigError, match=rf"{name} must be shared or \w+, got 'none'"):
        _urec(**{name: "none"})


def test_no_tensor_has_two_names():
    state = _urec(branch_norm="separate", rec_decoder="own").state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
