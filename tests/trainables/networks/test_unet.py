import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.networks.build import build_network

pytestmark = pytest.mark.numbers


def _images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _network(num_channels=3, num_classes=6):
    """A small network in evaluation mode whose statistics keep its signals alive."""
    model = build_network("unet", num_channels, num_classes, width=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(_images(4, num_channels, 64, 64, seed=9))
    return model.eval()


def test_published_number_of_parameters():
    assert sum(p.numel() for p in build_network("unet").parameters()) == 21_916_998


def test_published_cost_of_forward_and_backward():
    model = build_network("unet").to("meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 256, 256, device="meta")).logits.sum().backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(95.4, abs=0.05)


def test_every_parameter_receives_a_gradient():
    model = build_network("unet")
    model(_images(2, 3, 64, 64)).logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if parameter.ndim == 4:  # the gradient of a bias before batch normalisation is 0
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [(37, 61), (20, 20), (1, 1), (64, 33)])
def test_any_size_works(size):
    model = _network(num_channels=4, num_classes=5)
    assert model(_images(1, 4, *size)).logits.shape == (1, 5, *size)


def test_odd_sizes_equal_padding_by_hand():
    model = _network()
    images = _images(1, 3, 37, 61)
    padded = F.pad(images, (0, 3, 0, 27), mode="replicate")
    assert torch.equal(model(images).logits, model(padded).logits[..., :37, :61])


@pytest.mark.parametrize("training", [True, False])
def test_segment_is_forward(training):
    images = _images(2, 3, 64, 64)
    model = _network().train(training)
    output = model(images)
    assert torch.equal(model.segment(images), output.logits)
    assert output.reconstruction is None
    assert not model.has_reconstruction


def test_only_the_first_images_are_segmented():
    model, images = _network().double(), _images(5, 3, 32, 32).double()
    part = model(images, num_segment=2).logits
    torch.testing.assert_close(part, model.segment(images[:2]))
    with pytest.raises(ValueError, match=r"num_segment must be in 1 \.\.\. 5"):
        model(images, num_segment=6)


def test_skips_reach_the_logits():
    model = _network()
    features, bottom = model.encoder(_images(1, 3, 32, 32))
    features = [f.detach().requires_grad_() for f in features]
    model.segmentation(features, bottom.detach()).sum().backward()
    assert all(f.grad is not None and f.grad.abs().sum() > 0 for f in features)


def test_channels_last_is_kept_and_changes_nothing():
    model = _network().double()  # float32 differs in rounding
    images = _images(2, 3, 64, 64).double()
    expected = model.segment(images)
    model = model.to(memory_format=torch.channels_last)
    logits = model.segment(images.to(memory_format=torch.channels_last))
    assert logits.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(logits, expected)
