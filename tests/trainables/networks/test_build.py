import pytest
import torch
from torch import nn

from contract.methods import METHODS as KNOWN
from trainables.errors import ConfigError
from trainables.methods import METHODS
from trainables.networks import build
from trainables.networks.build import NETWORKS, build_network
from trainables.networks.network import Network, NetworkConfig
from trainables.networks.unet import UNet
from trainables.networks.urec import UREC

pytestmark = pytest.mark.numbers


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(("name", "kind"), [("unet", UNet), ("urec", UREC)])
def test_names(name, kind):
    assert isinstance(build_network(name, width=1), kind)


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"network must be one of unet, urec or .*, got 'segnet'"):
        build_network("segnet")


@pytest.mark.parametrize("size", ["num_channels", "num_classes", "width"])
def test_sizes_must_be_positive(size):
    with pytest.raises(ConfigError, match=f"{size} must be a positive integer, got 0"):
        build_network("unet", **{size: 0})


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_pytorch_would_draw(name):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        reference = NETWORKS[name](3, 6, NetworkConfig(width=4))
    model = build_network(name, width=4, generator=_generator(7))
    assert _same(model.state_dict(), reference.state_dict())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_the_same_weights_twice_and_another_seed_others(name):
    first, second, other = (
        build_network(name, width=2, generator=_generator(seed)).state_dict() for seed in (3, 3, 4)
    )
    assert _same(first, second)
    assert not any(torch.equal(first[k], other[k]) for k in first if k.endswith("0.weight"))


def test_without_a_generator_the_seed_is_0():
    assert _same(
        build_network("urec", width=2).state_dict(),
        build_network("urec", width=2, generator=_generator(0)).state_dict(),
    )


def test_one_seed_gives_both_models_the_same_common_weights():
    unet = build_network("unet", width=4, generator=_generator(5)).state_dict()
    urec = build_network("urec", width=4, generator=_generator(5)).state_dict()
    assert _same(unet, {k: v for k, v in urec.items() if not k.startswith("reconstruction.")})


def test_equal_weights_give_equal_logits_in_both_models():
    images = torch.rand(2, 3, 64, 64, generator=_generator(1))
    unet, urec = (build_network(n, width=4, generator=_generator(5)) for n in ("unet", "urec"))
    assert unet.segment(images).std() > 0.01
    assert torch.equal(unet.segment(images), urec.segment(images))


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    build_network("urec", width=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_advances():
    generator = _generator(0)
    first = build_network("unet", width=2, generator=generator).state_dict()
    assert not _same(first, build_network("unet", width=2, generator=generator).state_dict())


def test_model_is_on_the_cpu_in_training_mode_with_fresh_statistics():
    model = build_network("urec", width=2)
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((m.running_var == 1).all() and (m.running_mean == 0).all() for m in norms)
    assert all(m.num_batches_tracked == 0 for m in norms)


class Other(Network):
    """Layers of other kinds than those of U-Net, one of them drawn by hand."""

    def __init__(self, num_channels, num_classes, config):
        super().__init__()
        self.attention = nn.MultiheadAttention(num_classes, 1)
        self.mix = nn.Linear(num_channels, config.parameters["inner"])
        self.shift = nn.Parameter(torch.randn(4))


def test_layers_of_any_kind_follow_from_the_seed(monkeypatch):
    monkeypatch.setattr(build, "NETWORKS", {"other": Other})
    before = torch.get_rng_state()
    first, second, other = (
        build_network("other", parameters={"inner": 5}, generator=_generator(seed)).state_dict()
        for seed in (3, 3, 4)
    )
    assert _same(first, second)
    assert not any(torch.equal(first[k], other[k]) for k in ("mix.weight", "mix.bias", "shift"))
    assert first["mix.weight"].shape == (5, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_is_put_back_where_building_fails(monkeypatch):
    monkeypatch.setattr(build, "NETWORKS", {"other": Other})
    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        build_network("other")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", KNOWN.values(), ids=KNOWN)
def test_every_method_has_a_network_that_gives_what_it_needs(method):
    network = build_network(method.network, width=1)
    assert network.has_reconstruction >= METHODS[method.unannotated].needs_reconstruction
    images = torch.rand(1, 3, 64, 64, generator=_generator(1))
    assert (network(images).reconstruction is not None) == network.has_reconstruction
    assert hasattr(network, "reconstruct") == network.has_reconstruction
