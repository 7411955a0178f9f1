from dataclasses import replace

import pytest
import torch

from trainables.errors import ConfigError
from trainables.networks.encoders.backbone import Backbone, adapt_bands, band_values

pytestmark = pytest.mark.numbers

KINDS = ("resnet", "convnextv2", "swin", "dinov3")


def test_bands_by_hand():
    weight = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    for num_channels, expected in (
        (1, [9.0]),
        (2, [1.5, 3.0]),
        (3, [1.0, 2.0, 6.0]),
        (4, [0.75, 1.5, 4.5, 2.25]),
        (6, [0.5, 1.0, 3.0, 1.5, 1.5, 1.5]),
    ):
        found = adapt_bands(weight, num_channels)
        torch.testing.assert_close(found.flatten(), torch.tensor(expected))
    assert band_values((0.1, 0.2, 0.6), 5) == pytest.approx([0.1, 0.2, 0.6, 0.3, 0.3])
    assert band_values((0.1, 0.2, 0.6), 2) == pytest.approx([0.1, 0.2])
    assert band_values((0.1, 0.2, 0.6), 1) == pytest.approx([0.3])
    assert band_values((0.0,), 3) == [0, 0, 0]


@pytest.mark.parametrize("num_channels", [1, 3, 4, 8])
def test_a_grey_image_looks_the_same_whatever_the_number_of_bands(encoders, num_channels):
    """Activations keep their size: the same ones, where all bands are normalised alike."""
    encoder = replace(encoders("convnextv2"), mean=(0.4,), std=(0.2,))
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = [
        Backbone(encoder, num, is_pretrained=True).eval()(grey.expand(-1, num, -1, -1))
        for num in (3, num_channels)
    ]
    for one, other in zip(*maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_that_transformers_computes(encoders, kind):
    """Of images normalised as for training; those of one scale are resized."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    encoder = encoders(kind)
    config = AutoConfig.from_pretrained(encoder.source)
    config.out_features = config.stage_names[1:] if kind != "dinov3" else config.stage_names[2::2]
    reference = MODEL_FOR_BACKBONE_MAPPING[type(config)].from_pretrained(
        encoder.source, config=config
    )
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (images - mean[:, None, None]) / std[:, None, None]
    backbone = Backbone(encoder, 3, is_pretrained=True).eval()
    with torch.no_grad():
        expected, found = reference.eval()(normalised).feature_maps, backbone(images)
    strides = (4, 8, 16, 32)
    assert backbone.strides == strides
    for stride, one, other in zip(strides, expected, found, strict=True):
        assert other.shape[-2:] == (64 // stride, 96 // stride)
        if one.shape == other.shape:
            torch.testing.assert_close(other, one)
    assert backbone.stride_px == 32


@pytest.mark.parametrize("kind", KINDS)
def test_random_weights_follow_from_the_generator(encoders, kind):
    def drawn(seed, is_pretrained=False):
        torch.manual_seed(seed)
        weights = Backbone(encoders(kind), 4, is_pretrained=is_pretrained).state_dict()
        return weights, torch.rand(1)

    with torch.random.fork_rng():
        first, second, other, pretrained = drawn(1), drawn(1), drawn(2), drawn(1, True)
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    (convolution,) = [name for name, one in first[0].items() if one.ndim == 4 and one.shape[1] == 4
                      and not torch.equal(one, other[0][name])][:1]  # fmt: skip
    assert not torch.equal(first[0][convolution], pretrained[0][convolution])
    assert torch.equal(first[1], pretrained[1]), "the decoder's weights are the same"


def test_an_encoder_that_cannot_take_other_bands_is_refused(encoders):
    encoder = encoders("resnet")
    name = "embedder.embedder.convolution.weight"
    state = {**encoder.state, name: encoder.state[name][:2]}
    with pytest.raises(ConfigError, match=f"must have a first convolution over the bands.*{name}"):
        Backbone(replace(encoder, state=state), 4, is_pretrained=True)
