import pytest
import torch

from trainables.networks.blocks import ReconstructionDecoder, SegmentationDecoder, stage_widths
from trainables.networks.encoders.decoders import (
    ReconstructionLevels,
    SegmentationLevels,
    block_width,
    level_widths,
)

pytestmark = pytest.mark.numbers


def test_widths_are_the_published_ones_at_their_strides():
    assert level_widths((4, 8, 16, 32), 32) == [512, 256, 128, 32]
    assert level_widths((1, 2, 4, 8, 16, 32), 32)[:-1] == list(reversed(stage_widths(32)))
    assert [block_width(stride, 8) for stride in (1, 4, 16, 32, 64)] == [8, 32, 128, 128, 128]
    assert level_widths((3.5, 7, 14, 28), 4) == [64, 32, 16, 4], "of patches of 14 px"


def _features(sizes):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, *size, generator=generator) for size in sizes]


def test_with_the_published_strides_it_is_the_published_decoder():
    """Its last level has nothing to resize, and is left out of the comparison."""
    widths = stage_widths(2)
    published = SegmentationDecoder(widths, 3)
    decoder = SegmentationLevels(32, level_widths((1, 2, 4, 8, 16, 32), 2), widths, 3)
    state = published.state_dict()
    own = decoder.state_dict()
    for name in state:
        if not name.startswith("head."):
            assert state[name].shape == own[name].shape or name.startswith("refinements"), name
    features = _features([(width, 64 // 2**i, 64 // 2**i) for i, width in enumerate(widths)])
    (bottom,) = _features([(32, 2, 2)])
    for one, other in zip(decoder.entries[:5], published.entries, strict=True):
        one.load_state_dict(other.state_dict())
    for one, other in zip(decoder.refinements[:4], published.refinements, strict=False):
        if one[0][0].weight.shape == other[0][0].weight.shape and len(one) == len(other):
            one.load_state_dict(other.state_dict())
    x = y = bottom
    for index in range(3):  # both have the same blocks there
        skip = features[-1 - index]
        x = published.refinements[index](
            published.entries[index](
                torch.cat((torch.nn.functional.interpolate(
                    x, scale_factor=2, mode="bilinear", align_corners=True), skip), dim=1)
            )
        )  # fmt: skip
        y = decoder.refinements[index](
            decoder.entries[index](
                torch.cat((torch.nn.functional.interpolate(
                    y, size=skip.shape[-2:], mode="bilinear", align_corners=True), skip), dim=1)
            )
        )  # fmt: skip
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize("sizes", [((20, 12), (10, 6), (5, 3)), ((19, 13), (9, 7), (5, 3))])
def test_skips_of_any_size(sizes):
    widths = level_widths((4, 8, 16, 32), 2)
    decoder = SegmentationLevels(32, widths, (3, 4, 5), 6)
    skips = _features([(channels, *size) for channels, size in zip((3, 4, 5), sizes, strict=True)])
    (bottom,) = _features([(32, 2, 1)])
    assert decoder(bottom, skips, (77, 50)).shape == (2, 6, 77, 50)
    back = ReconstructionLevels(32, widths, 4, is_own=False)
    levels = [*reversed(sizes), (77, 50)]
    assert back(bottom, levels, decoder.refinements).shape == (2, 4, 77, 50)


def test_the_reconstruction_owns_its_entries_and_head_alone():
    """The rule of the published network: every other block is borrowed."""
    published = ReconstructionDecoder(stage_widths(2), 3)
    decoder = ReconstructionLevels(32, level_widths((4, 8, 16, 32), 2), 3, is_own=False)
    parts = {name.partition(".")[0] for name in decoder.state_dict()}
    assert parts == {name.partition(".")[0] for name in published.state_dict()} == {
        "entries", "head"}  # fmt: skip
    own = ReconstructionLevels(32, level_widths((4, 8, 16, 32), 2), 3, is_own=True)
    assert any(name.startswith("refinements.") for name in own.state_dict())
