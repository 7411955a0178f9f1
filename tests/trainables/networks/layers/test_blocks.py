import pytest
import torch
from torch import nn

from trainables.networks.layers.blocks import (
    ConvBlock,
    Encoder,
    ReconstructionDecoder,
    SegmentationDecoder,
    chain,
    crop_to,
    first_of,
    pad_to_stride,
    upsample,
)
from trainables.networks.layers.convolution import Convolution

pytestmark = pytest.mark.numbers

WIDTHS = (2, 4, 8, 16, 32)


def _conv_channels(module):
    return [
        (conv.in_channels, conv.out_channels)
        for conv in module.modules()
        if isinstance(conv, nn.Conv2d)
    ]


def test_conv_block_keeps_the_size_and_has_a_bias():
    block = ConvBlock(3, 5)
    assert block(torch.rand(2, 3, 7, 9)).shape == (2, 5, 7, 9)
    assert block[0].bias is not None
    assert [type(layer) for layer in block] == [Convolution, nn.BatchNorm2d, nn.ReLU]


def test_chain_connects_neighbours():
    assert _conv_channels(chain((4, 3, 2, 2))) == [(4, 3), (3, 2), (2, 2)]


def test_upsample_aligns_corners():
    row = torch.tensor([[[[0.0, 3.0]]]])
    expected = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 2, 4)
    torch.testing.assert_close(upsample(row), expected)


def test_encoder_gives_five_stages_and_the_bottom():
    encoder = Encoder(3, WIDTHS).eval()
    features, bottom = encoder(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (2, 64, 96),
        (4, 32, 48),
        (8, 16, 24),
        (16, 8, 12),
        (32, 4, 6),
    ]
    assert bottom.shape == (1, 32, 2, 3)


def test_encoder_has_the_published_blocks():
    widths = (32, 64, 128, 256, 512)
    assert _conv_channels(Encoder(3, widths)) == [
        *[(3, 32), (32, 32)],
        *[(32, 64), (64, 64)],
        *[(64, 128), (128, 128), (128, 128)],
        *[(128, 256), (256, 256), (256, 256)],
        *[(256, 512), (512, 512), (512, 512)],
        (512, 512),
    ]


def test_segmentation_decoder_has_the_published_blocks():
    decoder = SegmentationDecoder((32, 64, 128, 256, 512), 6)
    stages = [
        _conv_channels(entry) + _conv_channels(refine)
        for entry, refine in zip(decoder.entries, decoder.refinements, strict=True)
    ]
    assert stages == [
        [(1024, 512), (512, 512), (512, 256), (256, 256)],
        [(512, 256), (256, 256), (256, 128), (128, 128)],
        [(256, 128), (128, 128), (128, 64), (64, 64)],
        [(128, 64), (64, 32), (32, 32)],
        [(64, 32)],
    ]
    assert _conv_channels(decoder.head) == [(32, 6)]


def test_reconstruction_decoder_owns_entries_and_head_only():
    decoder = ReconstructionDecoder((32, 64, 128, 256, 512), 4)
    assert _conv_channels(decoder) == [
        *[(512, 512), (256, 256), (128, 128), (64, 64), (32, 32)],
        (32, 4),
    ]


def test_pad_repeats_the_last_row_and_column():
    images = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    padded = pad_to_stride(images)
    assert padded.shape == (1, 1, 32, 32)
    assert (padded[0, 0, 1:, 1:] == 4).all()
    assert (padded[0, 0, 0, 1:] == 2).all()
    assert (padded[0, 0, 1:, 0] == 3).all()
    assert padded[0, 0, 0, 0] == 1
    assert torch.equal(crop_to(padded, images), images)


@pytest.mark.parametrize(("size", "padded"), [((33, 64), (64, 64)), ((1, 31), (32, 32))])
def test_pad_reaches_the_next_multiple(size, padded):
    assert pad_to_stride(torch.rand(1, 3, *size)).shape[-2:] == padded


def test_pad_leaves_multiples_alone():
    images = torch.rand(1, 3, 64, 32)
    assert pad_to_stride(images) is images


LAST = torch.channels_last


@pytest.mark.parametrize("num", [1, 2, 3])
def test_gradients_of_the_first_images_stay_in_channels_last(num):
    batch = torch.rand(3, 4, 5, 6).contiguous(memory_format=LAST).requires_grad_()
    first = first_of(batch, num)
    assert torch.equal(first, batch[:num])
    weights = torch.rand(num, 8, 5, 6).contiguous(memory_format=LAST)[:, :4]  # as `cat` gives them
    (of_batch,) = torch.autograd.grad(first, batch, weights)
    assert torch.equal(of_batch[:num], weights)
    assert (of_batch[num:] == 0).all()
    if num < len(batch):  # as it is handed on where it is the whole
        assert of_batch.is_contiguous(memory_format=LAST)


def test_first_of_all_is_the_batch():
    batch = torch.rand(3, 4, 5, 6)
    assert first_of(batch, 3) is batch
