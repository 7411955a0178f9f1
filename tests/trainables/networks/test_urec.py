import copy
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.networks.build import build_network
from trainables.networks.layers.blocks import ConvBlock

pytestmark = pytest.mark.numbers


def _images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _network(num_channels=3, num_classes=6):
    """A small network in evaluation mode whose statistics keep its signals alive."""
    model = build_network("urec", num_channels, num_classes, width=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(_images(4, num_channels, 64, 64, seed=9))
    return model.eval()


def _calls_per_block(model, run):
    """How often each ConvBlock runs, by its name."""
    calls = Counter()
    for name, block in model.named_modules():
        if isinstance(block, ConvBlock):
            block.register_forward_hook(lambda *_, name=name: calls.update([name]))
    run()
    return calls


def test_published_number_of_parameters():
    assert sum(p.numel() for p in build_network("urec").parameters()) == 25_062_729


def test_published_cost_of_forward_and_backward():
    # 136.2 GFLOP as published; the bottom block (512-512 at 8 x 8) runs once here, not twice.
    second_bottom = 3 * 2 * 512 * 512 * 9 * 8 * 8
    model = build_network("urec").to("meta")
    with FlopCounterMode(display=False) as counter:
        out = model(torch.empty(1, 3, 256, 256, device="meta"))
        (out.logits.sum() + out.reconstruction.sum()).backward()
    total = counter.get_total_flops() + second_bottom
    assert total / 1e9 == pytest.approx(136.2, abs=0.05)


def test_every_parameter_receives_a_gradient():
    model = build_network("urec")
    out = model(_images(3, 3, 64, 64), num_segment=2)
    (out.logits.square().mean() + out.reconstruction.square().mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if parameter.ndim == 4:
            assert parameter.grad.abs().sum() > 0, name


def test_both_decoders_run_the_same_block_objects():
    model = _network()
    calls = _calls_per_block(model, lambda: model(_images(1, 3, 32, 32)))
    assert {name for name, n in calls.items() if n == 2} == {
        f"segmentation.refinements.{stage}.{block}"
        for stage, num_blocks in enumerate((3, 3, 3, 2))
        for block in range(num_blocks)
    }
    assert set(calls.values()) == {1, 2}


def test_shared_batch_normalisation_sees_both_branches():
    model = build_network("urec", width=2)
    model(_images(2, 3, 64, 64))
    state = model.state_dict()
    seen = {k: int(v) for k, v in state.items() if k.endswith("num_batches_tracked")}
    assert {n for k, n in seen.items() if ".refinements." in k} == {2}
    assert {n for k, n in seen.items() if ".refinements." not in k} == {1}


def test_reconstruction_alone_trains_shared_blocks_but_no_segmentation_entry():
    model = build_network("urec", width=2)
    model.reconstruct(_images(2, 3, 64, 64)).abs().mean().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    own = {
        name
        for name, _ in model.named_parameters()
        if name.startswith(("segmentation.entries", "segmentation.head"))
    }
    assert without == own


def test_reconstruction_has_no_skips():
    model = _network()
    images = _images(1, 3, 64, 64)
    _, bottom = model.encoder(images)
    rebuilt = model.reconstruction(bottom, model.segmentation.refinements)
    assert torch.equal(model(images).reconstruction, rebuilt)


def test_segment_skips_the_reconstruction_branch():
    model = _network()
    images = _images(2, 3, 37, 61)
    out = model(images)
    assert out.reconstruction.std() > 0.01
    assert out.logits.std() > 0.01
    calls = _calls_per_block(model, lambda: model.segment(images))
    assert not any(name.startswith("reconstruction") for name in calls)
    assert set(calls.values()) == {1}
    assert torch.equal(model.segment(images), out.logits)
    assert torch.equal(model.reconstruct(images), out.reconstruction)


def test_num_segment_equals_slicing_in_evaluation_mode():
    model = _network().double()  # float32 differs in rounding, and kernels by the size of a batch
    images = _images(5, 3, 64, 64).double()
    everything, part = model(images), model(images, num_segment=2)
    assert part.logits.shape == (2, 6, 64, 64)
    torch.testing.assert_close(part.logits, everything.logits[:2])
    torch.testing.assert_close(part.reconstruction, everything.reconstruction)


@pytest.mark.parametrize("num_segment", [0, -1, 4])
def test_num_segment_outside_the_batch_is_refused(num_segment):
    with pytest.raises(ValueError, match=r"num_segment must be in 1 \.\.\. 3"):
        build_network("urec", width=2)(_images(3, 3, 32, 32), num_segment=num_segment)


@pytest.mark.parametrize("size", [(37, 61), (20, 20), (1, 1)])
def test_any_size_works(size):
    out = _network(num_channels=4, num_classes=5)(_images(1, 4, *size))
    assert out.logits.shape == (1, 5, *size)
    assert out.reconstruction.shape == (1, 4, *size)


def test_reconstruction_is_linear_and_may_be_negative():
    model = _network()
    with torch.no_grad():
        model.reconstruction.head.bias.fill_(-100.0)
    assert (model(_images(1, 3, 32, 32)).reconstruction < 0).all()


def test_channels_last_is_kept_and_changes_nothing():
    model = _network().double()  # float32 differs in rounding
    images = _images(3, 3, 64, 64).double()
    expected = model(images, num_segment=2)
    model = model.to(memory_format=torch.channels_last)
    out = model(images.to(memory_format=torch.channels_last), num_segment=2)
    for value, reference in zip(out, expected, strict=True):
        assert value.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(value, reference)


def test_no_tensor_has_two_names_in_the_state_dict():
    # Weights averaged by name would otherwise move twice where blocks are shared.
    state = build_network("urec", width=2).state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_a_copy_shares_its_own_blocks():
    model = _network()
    images = _images(1, 3, 32, 32)
    before = model(images)
    clone = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in clone.segmentation.refinements.parameters():
            parameter.zero_()
    assert torch.equal(model(images).reconstruction, before.reconstruction)
    assert not torch.equal(clone(images).reconstruction, before.reconstruction)


@pytest.mark.parametrize("num_segment", [None, 2])
def test_gradients_of_features_lie_as_the_features_do(monkeypatch, num_segment):
    # In the other layout, what follows takes up to 25 times as long.
    model = build_network("urec", width=4).to(memory_format=torch.channels_last)
    seen = []
    encode = type(model.encoder).forward

    def watched(encoder, images):
        features, bottom = encode(encoder, images)
        for x in (*features, bottom):
            x.register_hook(seen.append)
        return features, bottom

    monkeypatch.setattr(type(model.encoder), "forward", watched)
    images = _images(3, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    output = model(images, num_segment=num_segment)
    (output.logits.square().mean() + output.reconstruction.square().mean()).backward()
    assert len(seen) == 6
    assert all(gradient.is_contiguous(memory_format=torch.channels_last) for gradient in seen)
