import pytest
import torch

from trainables.networks.encoders.decoders import (
    ReconstructionLevels,
    SegmentationLevels,
    block_width,
    level_widths,
    resize,
    size_of,
)
from trainables.networks.layers.blocks import (
    ReconstructionDecoder,
    SegmentationDecoder,
    stage_widths,
    upsample,
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


def test_levels_with_skips_compute_what_the_published_ones_do():
    """But for the last two, since these end at a stride of 4 and the published at 1."""
    widths = stage_widths(2)
    published = SegmentationDecoder(widths, 3)
    decoder = SegmentationLevels(32, level_widths((1, 2, 4, 8, 16, 32), 2), widths, 3)
    features = _features([(width, 64 // 2**i, 64 // 2**i) for i, width in enumerate(widths)])
    ((x, y),) = [(bottom, bottom) for bottom in _features([(32, 2, 2)])]
    for index in range(3):
        for part in ("entries", "refinements"):
            state = getattr(published, part)[index].state_dict()
            getattr(decoder, part)[index].load_state_dict(state)
        skip = features[-1 - index]
        joined = torch.cat((upsample(x), skip), dim=1)
        x = published.refinements[index](published.entries[index](joined))
        joined = torch.cat((resize(y, size_of(skip)), skip), dim=1)
        y = decoder.refinements[index](decoder.entries[index](joined))
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
