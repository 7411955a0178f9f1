"""Gradients of convolutions, whatever layout they are taken in."""

import copy

import pytest
import torch
from torch import nn

from trainables.networks.layers import convolution
from trainables.networks.layers.convolution import Convolution, fastest_way
from trainables.networks.unet import UNet
from trainables.settings.config import TrainingConfig

LAST = torch.channels_last


WAYS = ("product", "default layout")


def images(num_channels: int, *sides_px: int, num: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    sides = sides_px if len(sides_px) == 2 else sides_px * 2
    drawn = torch.randn(num, num_channels, *sides, generator=generator)
    return drawn.contiguous(memory_format=LAST)


def use(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """As if this were the fastest way of every convolution, whatever the processor and the size."""
    monkeypatch.setattr(convolution, "fastest_way", lambda images, weight: way)


@pytest.mark.parametrize("num_channels", [(3, 8), (16, 32), (64, 32)])
@pytest.mark.parametrize("needs_images", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_results_and_gradients_are_those_of_torch(monkeypatch, num_channels, needs_images, way):
    use(monkeypatch, way)
    torch.manual_seed(0)
    ours = Convolution(*num_channels).to(memory_format=LAST).double()
    torchs = nn.Conv2d(*num_channels, kernel_size=3, padding=1).to(memory_format=LAST).double()
    torchs.load_state_dict(ours.state_dict())
    inputs = [images(num_channels[0], 20).double().requires_grad_(needs_images) for _ in range(2)]
    outputs = [layer(x) for layer, x in zip((ours, torchs), inputs, strict=True)]
    assert type(outputs[0].grad_fn).__name__ == "_ConvolvedBackward"
    assert outputs[0].is_contiguous(memory_format=LAST)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        # Not in channels-last, as gradients may arrive from other layers.
        output.backward(images(num_channels[1], 20, seed=1).double().contiguous())
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(ours, name).grad, getattr(torchs, name).grad)
    assert ours.weight.grad.is_contiguous(memory_format=LAST)
    if needs_images:
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
        assert inputs[0].grad.is_contiguous(memory_format=LAST)


@pytest.mark.numbers
@pytest.mark.parametrize(
    ("num", "sides_px"),
    [
        (1, (1, 1)),
        (3, (2, 5)),
        (70, (4, 4)),
        (2, (32, 32)),
        (2, (33, 32)),
        (2, (7, 300)),
        (1, (2, 1500)),
    ],
)
def test_products_of_pieces_add_up_whatever_the_size_of_images(num, sides_px):
    # From images that go into one product together to those of which a row is more than one holds.
    some, outputs = (images(channels, *sides_px, num=num).double() for channels in (5, 6))
    of_weight, of_bias = convolution._product(outputs, some, True)
    weight = torch.zeros(6, 5, 3, 3, dtype=torch.float64)
    _, expected, of_expected_bias = convolution._backward(
        outputs.contiguous(), some.contiguous(), weight, (False, True, True)
    )
    torch.testing.assert_close(of_weight, expected)
    torch.testing.assert_close(of_bias, of_expected_bias)
    assert of_weight.is_contiguous(memory_format=LAST)
    assert convolution._product(outputs, some, False)[1] is None


@pytest.mark.parametrize("side_px", [4, 64])
def test_a_product_is_no_less_exact_than_the_gradient_of_torch(side_px):
    some, outputs = images(64, side_px), images(64, side_px, seed=1)
    weight = torch.zeros(64, 64, 3, 3).contiguous(memory_format=LAST)
    wanted = (False, True, False)
    exact = convolution._backward(outputs.double(), some.double(), weight.double(), wanted)[1]
    of_torch = convolution._backward(outputs, some, weight, wanted)[1]
    errors = [
        (found - exact).square().mean().sqrt()
        for found in (convolution._product(outputs, some, False)[0], of_torch)
    ]
    assert errors[0] <= 1.5 * errors[1]


def test_products_start_from_nothing_whatever_memory_held():
    some, outputs = images(4, 8), images(4, 8, seed=1)
    expected, _ = convolution._product(outputs, some, False)
    for _ in range(3):
        torch.full((4, 36), torch.nan)  # its memory is likely to be taken for the next result
        torch.testing.assert_close(
            convolution._product(outputs, some, False)[0], expected, rtol=0, atol=0
        )


@pytest.mark.parametrize("way", WAYS)
def test_a_network_learns_the_same_in_every_way(monkeypatch, way):
    torch.manual_seed(0)
    networks = [UNet(3, 4, TrainingConfig(width=4))]
    networks.append(copy.deepcopy(networks[0]))
    losses = []
    for network, taken in zip(networks, ("torch", way), strict=True):
        use(monkeypatch, taken)
        network.to(memory_format=LAST).double()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = network(images(3, 32).double()).logits.square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_each_way_is_taken_where_it_was_measured_to_be_the_fastest(monkeypatch):
    weight = torch.empty(32, 64, 3, 3)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert fastest_way(images(64, 64), weight) == "default layout"  # 1 MiB an image
    assert fastest_way(images(64, 64, 63), weight) == "torch"
    assert fastest_way(images(64, 64).contiguous(), weight) == "torch"
    assert fastest_way(images(64, 64).to(torch.bfloat16), weight) == "torch"
    assert fastest_way(images(64, 64), torch.empty(8, 64, 3, 3)) == "torch"
    assert fastest_way(images(16, 256), torch.empty(16, 16, 3, 3)) == "torch"
    for side_px in (32, 64):
        some = images(128, side_px)
        assert fastest_way(some, torch.empty(64, 128, 3, 3)) == "product"
        assert fastest_way(some, torch.empty(63, 128, 3, 3)) != "product"
    assert fastest_way(images(128, 32, 31), torch.empty(64, 128, 3, 3)) == "torch"
    with torch.autocast("cpu", torch.bfloat16):
        assert fastest_way(images(64, 64), weight) == "torch"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert fastest_way(images(64, 64), weight) == "torch"
    assert fastest_way(images(128, 4), torch.empty(64, 128, 3, 3)) == "torch"


@pytest.mark.parametrize("way", WAYS)
def test_without_gradients_torch_convolves(monkeypatch, way):
    use(monkeypatch, way)
    layer = Convolution(3, 8)
    with torch.no_grad():
        assert layer(images(3, 16)).grad_fn is None
    layer.weight.requires_grad_(False)
    assert type(layer(images(3, 16)).grad_fn).__name__ != "_ConvolvedBackward"
