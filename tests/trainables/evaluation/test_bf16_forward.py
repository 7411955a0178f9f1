import pytest
import torch

from trainables.evaluation.bf16_forward import Bf16Forward


class _Network:
    """Class 0 everywhere, but in bf16 class 1 in the first column; a third channel is no class."""

    def __init__(self):
        self.in_bf16 = []

    def __call__(self, images):
        is_half = torch.is_autocast_enabled("cpu")
        self.in_bf16.append(is_half)
        logits = torch.zeros(len(images), 3, *images.shape[-2:])
        logits[:, 0] = 1.0
        logits[:, 2] = 5.0
        if is_half:
            logits[:, 1, :, 0] = 2.0
        return logits.bfloat16() if is_half else logits


@pytest.fixture
def network():
    return _Network()


def test_outputs_are_those_of_bf16_and_equal_pixels_are_counted(network):
    forward = Bf16Forward(network, num_classes=2)
    outputs = forward(torch.zeros(2, 3, 4, 8))
    assert outputs.dtype == torch.float32
    assert outputs[:, :2].argmax(dim=1)[..., 0].eq(1).all()
    assert (forward.num_equal, forward.num_compared) == (2 * 4 * 7, 2 * 4 * 8)


def test_one_batch_of_every_fifty_is_computed_twice_at_other_places(network):
    forward = Bf16Forward(network, num_classes=2)
    compared = []
    for number in range(500):
        before = forward.num_compared
        forward(torch.zeros(1, 3, 4, 8))
        if forward.num_compared > before:
            compared.append(number)
    assert [number // 50 for number in compared] == list(range(10))
    assert len({number % 50 for number in compared}) > 5
    assert compared[0] == 0, "also an image of one batch is compared"
    assert network.in_bf16.count(True) == 500
    assert network.in_bf16.count(False) == 10
    assert forward.num_compared == 10 * 4 * 8
