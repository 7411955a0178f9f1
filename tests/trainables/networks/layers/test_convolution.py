"""Gradients of convolutions, whatever layout they are taken in."""

import copy

import pytest
import torch
from torch import nn

from trainables.networks import convolution
from trainables.networks.layers.convolution import Convolution, gains
from trainables.networks.unet import UNet
from trainables.settings.config import TrainingConfig

LAST = torch.channels_last


def images(num_channels: int, side_px: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, num_channels, side_px, side_px, generator=generator)
    return drawn.contiguous(memory_format=LAST)


@pytest.fixture
def in_both_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every convolution gained, whatever the processor and the size."""
    monkeypatch.setattr(convolution, "gains", lambda images, weight: True)


@pytest.mark.parametrize("num_channels", [(3, 8), (16, 32), (64, 32)])
@pytest.mark.parametrize("needs_images", [False, True])
def test_results_and_gradients_are_those_of_torch(in_both_layouts, num_channels, needs_images):
    torch.manual_seed(0)
    ours = Convolution(*num_channels).to(memory_format=LAST)
    torchs = nn.Conv2d(*num_channels, kernel_size=3, padding=1).to(memory_format=LAST)
    torchs.load_state_dict(ours.state_dict())
    inputs = [images(num_channels[0], 20).requires_grad_(needs_images) for _ in range(2)]
    outputs = [layer(x) for layer, x in zip((ours, torchs), inputs, strict=True)]
    assert type(outputs[0].grad_fn).__name__ == "_ConvolvedBackward"
    assert outputs[0].is_contiguous(memory_format=LAST)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        # Not in channels-last, as gradients may arrive from other layers.
        output.backward(images(num_channels[1], 20, seed=1).contiguous())
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(ours, name).grad, getattr(torchs, name).grad)
    assert ours.weight.grad.is_contiguous(memory_format=LAST)
    if needs_images:
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
        assert inputs[0].grad.is_contiguous(memory_format=LAST)


def test_a_network_learns_the_same_in_both_layouts(monkeypatch):
    torch.manual_seed(0)
    networks = [UNet(3, 4, TrainingConfig(width=4))]
    networks.append(copy.deepcopy(networks[0]))
    losses = []
    for network, in_both in zip(networks, (False, True), strict=True):
        monkeypatch.setattr(convolution, "gains", lambda images, weight, now=in_both: now)
        network.to(memory_format=LAST).double()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = network(images(3, 32).double()).logits.square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_it_is_used_where_it_was_measured_to_gain(monkeypatch):
    weight = torch.empty(32, 64, 3, 3)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert gains(images(64, 64), weight)  # 64 x 64 px of 64 channels are 1 MiB
    assert not gains(images(64, 63), weight)
    assert not gains(images(64, 64).contiguous(), weight)
    assert not gains(images(64, 64).to(torch.bfloat16), weight)
    assert not gains(images(64, 64), torch.empty(8, 64, 3, 3))
    assert not gains(images(16, 256), torch.empty(16, 16, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        assert not gains(images(64, 64), weight)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not gains(images(64, 64), weight)


def test_without_gradients_torch_convolves(in_both_layouts):
    layer = Convolution(3, 8)
    with torch.no_grad():
        assert layer(images(3, 16)).grad_fn is None
    layer.weight.requires_grad_(False)
    assert type(layer(images(3, 16)).grad_fn).__name__ != "_ConvolvedBackward"
