import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.errors import ConfigError
from trainables.networks.build import build_network
from trainables.networks.own_network import is_own

pytestmark = pytest.mark.numbers

NETWORKS = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self, num_channels, num_classes, width=7, depth=2):
        super().__init__()
        self.seen, self.sizes = (width, depth), []
        self.down = nn.Conv2d(num_channels, 6, 32, stride=32)
        self.up = nn.ConvTranspose2d(6, num_classes, 32, stride=32)

    def forward(self, images):
        self.sizes.append(tuple(images.shape))
        return self.up(self.down(images).tanh())

class Both(Plain):
    def __init__(self, num_channels, num_classes):
        super().__init__(num_channels, num_classes)
        self.back = nn.ConvTranspose2d(6, num_channels, 32, stride=32)

    def forward(self, images):
        return super().forward(images), self.back(self.down(images).tanh())

def small(num_channels, num_classes):
    return Plain(num_channels, num_classes, width=1)

def half(num_channels, num_classes):
    return nn.Conv2d(num_channels, num_classes, 2, stride=2)

def three(num_channels, num_classes):
    class Three(nn.Module):
        def forward(self, images):
            return images, images, images
    return Three()

def number(num_channels, num_classes):
    return 7

def broken(num_channels, num_classes):
    raise RuntimeError("no such\\nbackbone")

def picky(num_channels, num_classes, encoder):
    return Plain(num_channels, num_classes)

def other_bands(num_channels, num_classes):
    return Plain(num_channels + 1, num_classes)

TEXT = "unet"
"""


@pytest.fixture
def own(own_module):
    return own_module(NETWORKS)


def _images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mynets:UNetPP", True),
        ("lab.mynets.unetpp:unet_pp", True),
        ("urec", False),
        ("mynets:", False),
        (":UNetPP", False),
        ("my-nets:UNetPP", False),
        ("mynets:UNet.PP", False),
        ("../mynets:UNetPP", False),
        ("mynets:1", False),
    ],
)
def test_names_of_own_networks(text, found):
    assert is_own(text) is found


@pytest.mark.parametrize("size", [(64, 32), (37, 61), (20, 20), (1, 1)])
def test_any_size_works(own, size):
    network = build_network(f"{own}:Both", 4, 5)
    images = _images(2, 4, *size)
    output = network(images)
    assert output.logits.shape == (2, 5, *size)
    assert output.reconstruction.shape == images.shape
    padded = F.pad(images, (0, -size[1] % 32, 0, -size[0] % 32), mode="replicate")
    logits, reconstruction = network.own(padded)
    assert torch.equal(output.logits, logits[..., : size[0], : size[1]])
    assert torch.equal(output.reconstruction, reconstruction[..., : size[0], : size[1]])


@pytest.mark.parametrize(
    ("name", "reconstructs"), [("Plain", False), ("small", False), ("Both", True)]
)
def test_branches_are_those_that_forward_gives(own, name, reconstructs):
    network, images = build_network(f"{own}:{name}", 3, 5), _images(3, 3, 32, 32)
    output = network(images, num_segment=2)
    assert network.has_reconstruction is reconstructs
    assert hasattr(network, "reconstruct") is reconstructs
    assert output.logits.shape == (2, 5, 32, 32)
    torch.testing.assert_close(network.segment(images)[:2], output.logits)
    if reconstructs:
        assert torch.equal(network.reconstruct(images), output.reconstruction)
        assert output.reconstruction.shape == images.shape
    else:
        assert output.reconstruction is None
        assert network.own.sizes[-2] == (2, 3, 32, 32)  # no more than is segmented
    with pytest.raises(ValueError, match=r"num_segment must be in 1 \.\.\. 3"):
        network(images, num_segment=4)


def test_the_factory_gets_what_its_signature_names(own):
    values = {"depth": 5, "unknown": 1}
    assert build_network(f"{own}:Plain", width=3, parameters=values).own.seen == (3, 5)
    assert build_network(f"{own}:Plain", width=3).own.seen == (3, 2)
    assert build_network(f"{own}:small", width=3, parameters=values).own.seen == (1, 2)


def test_weights_follow_from_the_seed_and_the_global_generator_is_left_alone(own):
    before = torch.get_rng_state()
    first, second, other = (
        build_network(f"{own}:Both", generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.items():
        assert name.startswith("own.")
        assert torch.equal(value, second[name])
        assert not torch.equal(value, other[name])


def test_networks_are_built_in_training_mode(own_module):
    name = own_module(
        "from torch import nn\n"
        "def network(num_channels, num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(num_channels, num_classes, 1),\n"
        "                         nn.BatchNorm2d(num_classes))\n"
    )
    network = build_network(f"{name}:network")
    assert all(module.training for module in network.modules())
    assert network.own[1].num_batches_tracked == 0  # asking what it gives left no trace


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", r"must be a name of own_\w+ \(.*Plain, Both.*\), got 'nowhere'"),
        ("TEXT", "must be a function or class, got 'unet' as '.*:TEXT'; name what builds"),
        ("broken", "must build a network from num_channels=3, num_classes=6, got RuntimeError: "
         "no such backbone; mend the network"),
        ("picky", "got TypeError: picky.. missing 1 required positional argument: 'encoder'"),
        ("number", "must return a torch.nn.Module, got int"),
        ("other_bands", r"must take images \(N, 3, H, W\), got RuntimeError: .* channels"),
        ("three", "must give logits, or logits and a reconstruction, got tuple from its forward"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_told_in_one_line(own, name, message):
    before = torch.get_rng_state()
    with pytest.raises(ConfigError, match=message) as caught:
        build_network(f"{own}:{name}")
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)


def test_outputs_of_another_size_are_refused_not_cropped(own):
    network = build_network(f"{own}:half")
    with pytest.raises(
        ValueError, match=r"must have the height and width of the images \(64, 64\)"
    ):
        network(_images(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module", "No module named 'no_such_module'; put the folder that holds no_such_"),
        (
            "no_such.module",
            "No module named 'no_such'; put the folder that holds no_such on PYTHON",
        ),
    ],
)
def test_a_module_that_is_not_there(name, message):
    with pytest.raises(ConfigError, match=f"module that can be imported, got .*{message}"):
        build_network(f"{name}:network")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_library", "No module named 'no_such_library'; mend it, or install what"),
        ("def x(:", "SyntaxError: invalid syntax .*; mend it"),
        ("raise OSError('no weights')", "OSError: no weights; mend it"),
        ("raise SystemExit('usage: train.py')", "SystemExit: usage: train.py; mend it"),
    ],
)
def test_a_module_that_cannot_be_imported(own_module, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_network(f"{own_module(text)}:network")
    assert "\n" not in str(caught.value)


def test_submodules_of_packages_are_found(tmp_path, monkeypatch):
    package = tmp_path / "lab_of_nets"
    package.mkdir()
    (package / "one.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(build_network("lab_of_nets.one:Plain", 3, 2), nn.Module)
    with pytest.raises(ConfigError, match=r"folder that holds lab_of_nets\.two on"):
        build_network("lab_of_nets.two:Plain", 3, 2)
