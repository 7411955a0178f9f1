import pytest
import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.networks.build import MODELS, build_model, initialise_weights
from trainables.networks.unet import UNet
from trainables.networks.urec import UREC

pytestmark = pytest.mark.numbers

WIDTHS = (4, 8, 16, 32, 64)


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(("name", "kind"), [("unet", UNet), ("urec", UREC)])
def test_names(name, kind):
    assert isinstance(build_model(name, width=1), kind)


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match="must be one of unet, urec, got 'segnet'"):
        build_model("segnet")


@pytest.mark.parametrize("size", ["num_channels", "num_classes", "width"])
def test_sizes_must_be_positive(size):
    with pytest.raises(ConfigError, match=f"{size} must be a positive integer, got 0"):
        build_model("unet", **{size: 0})


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_those_pytorch_would_draw(name):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        reference = MODELS[name](3, 6, WIDTHS)
    model = build_model(name, width=4, generator=_generator(7))
    assert _same(model.state_dict(), reference.state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_gives_the_same_weights_twice_and_another_seed_others(name):
    first, second, other = (
        build_model(name, width=2, generator=_generator(seed)).state_dict() for seed in (3, 3, 4)
    )
    assert _same(first, second)
    assert not any(torch.equal(first[k], other[k]) for k in first if k.endswith("0.weight"))


def test_without_a_generator_the_seed_is_0():
    assert _same(
        build_model("urec", width=2).state_dict(),
        build_model("urec", width=2, generator=_generator(0)).state_dict(),
    )


def test_one_seed_gives_both_models_the_same_common_weights():
    unet = build_model("unet", width=4, generator=_generator(5)).state_dict()
    urec = build_model("urec", width=4, generator=_generator(5)).state_dict()
    assert _same(unet, {k: v for k, v in urec.items() if not k.startswith("reconstruction.")})


def test_equal_weights_give_equal_logits_in_both_models():
    images = torch.rand(2, 3, 64, 64, generator=_generator(1))
    unet, urec = (build_model(n, width=4, generator=_generator(5)) for n in ("unet", "urec"))
    assert unet(images).std() > 0.01
    assert torch.equal(unet(images), urec.segment(images))


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    build_model("urec", width=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_advances():
    generator = _generator(0)
    first = build_model("unet", width=2, generator=generator).state_dict()
    assert not _same(first, build_model("unet", width=2, generator=generator).state_dict())


def test_model_is_on_the_cpu_in_training_mode_with_fresh_statistics():
    model = build_model("urec", width=2)
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((m.running_var == 1).all() and (m.running_mean == 0).all() for m in norms)
    assert all(m.num_batches_tracked == 0 for m in norms)


def test_a_layer_without_an_initialisation_is_refused():
    with pytest.raises(TypeError, match="got Linear"):
        initialise_weights(nn.Sequential(nn.Linear(2, 2)), _generator(0))
