from dataclasses import replace

import pytest
import torch

from contract.methods import METHODS, Method
from trainables.errors import ConfigError
from trainables.networks.encoders.backbone import Backbone
from trainables.networks.own import check_network, find_method
from trainables.settings.config import TrainingConfig

pytestmark = pytest.mark.numbers

TRAINING = TrainingConfig(patch_px=64, infer_window_px=72, infer_step_px=40, width=2)
NETWORKS = """
import numpy as np
import torch
from torch import nn

from contract.methods import Method
from contract.parameters import Parameter

class Plain(nn.Module):
    def __init__(self, num_channels, num_classes, depth=1):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(num_channels, num_channels, 1) for _ in range(depth))
        self.norm = nn.BatchNorm2d(num_channels)
        self.head = nn.Conv2d(num_channels, num_classes, 1)

    def forward(self, images):
        for block in self.blocks:
            images = block(images)
        return self.head(self.norm(images))

class Both(Plain):
    def __init__(self, num_channels, num_classes):
        super().__init__(num_channels, num_classes)
        self.back = nn.Conv2d(num_channels, num_channels, 1)

    def forward(self, images):
        return super().forward(images), self.back(images)

class Unused(Both):
    def forward(self, images):
        return super().forward(images)[0]

class Frozen(Unused):
    def __init__(self, num_channels, num_classes):
        super().__init__(num_channels, num_classes)
        self.back.requires_grad_(False)

class Numpy(Plain):
    def __init__(self, num_channels, num_classes):
        super().__init__(num_channels, num_classes)
        self.shift = nn.Parameter(torch.from_numpy(np.random.rand(1)))

    def forward(self, images):
        return super().forward(images) + self.shift.float()

class OneBand(Both):
    def forward(self, images):
        logits, reconstruction = super().forward(images)
        return logits, reconstruction[:, :1]

class Indices(Plain):
    def forward(self, images):
        logits = super().forward(images)
        return logits.argmax(1, keepdim=True).expand_as(logits)

class Halves(Plain):
    def forward(self, images):
        return super().forward(images)[..., ::2, ::2]

class OneAtATime(Plain):
    def forward(self, images):
        if self.training:
            raise ValueError("for evaluation alone")
        return super().forward(images)

class NeverOne(Plain):
    def forward(self, images):
        if images.shape[-1] == 96 and len(images) == 1:
            raise ValueError("a batch of one")
        return super().forward(images)

def unet(num_channels, num_classes):
    return Plain(num_channels, num_classes)

def Ünet(num_channels, num_classes):
    return Plain(num_channels, num_classes)

depth = Parameter(name="depth", label="depth", kind="integer", lowest=1, low=1, high=4, default=1)
DEEP = Method(name="deep", label="Deep U-Net", network=f"{__name__}:Plain", parameters=(depth,))
ALONE = Method(name="alone", label="U-REC, supervised", network="urec")
TAKEN = Method(name="urec", label="mine", network=f"{__name__}:Plain")
UNSAFE = Method(name="a b", label="mine", network=f"{__name__}:Plain")
OTHER = Method(name="x", label="mine", network=f"{__name__}:Plain", unannotated="dreams")
DEAF = Method(name="x", label="mine", network=f"{__name__}:Both", parameters=(depth,))
schedule = Parameter(name="schedule", label="schedule", low=1, high=4, default=1.0)
SETTING = Method(name="x", label="mine", network=f"{__name__}:Plain", parameters=(schedule,))
NAMELESS = Method(name="x", label="mine", network="segnet")
"""


@pytest.fixture
def own(own_module):
    return own_module(NETWORKS)


def _method(own, name, unannotated="nothing"):
    return Method(name="mine", label="Mine", network=f"{own}:{name}", unannotated=unannotated)


def _check(method, num_channels=4, num_classes=5, **training):
    check_network(method, replace(TRAINING, **training), num_channels, num_classes)


def test_a_factory_is_a_method_of_its_name(own):
    assert find_method(f"{own}:Plain") == Method(
        name="Plain", label="Plain", network=f"{own}:Plain", unannotated="nothing"
    )
    assert find_method(f"{own}:Both").unannotated == "reconstruction"


def test_names_are_safe_for_arms_and_differ_from_those_of_the_project(own):
    assert find_method(f"{own}:Ünet").name == "-net"
    mine = find_method(f"{own}:unet")
    assert (mine.name, mine.label) == (f"{own}-unet", "unet")


def test_a_row_says_more(own):
    found = find_method(f"{own}:DEEP")
    assert (found.name, found.label, found.network) == ("deep", "Deep U-Net", f"{own}:Plain")
    assert [one.name for one in found.parameters] == ["depth"]
    assert find_method(f"{own}:ALONE").network == "urec"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "TAKEN",
            "name must not be one of urec, unet, fixmatch, fixmatch-urec, got 'urec' in .*:TAKEN",
        ),
        ("UNSAFE", "name must be of letters, digits, - and _, got 'a b'"),
        (
            "OTHER",
            "unannotated must be one of nothing, reconstruction, pseudo-labels, .*, got 'dreams'",
        ),
        ("DEAF", ":Both must name depth in its signature, which .*:DEAF lists"),
        ("NAMELESS", "network must be one of unet, urec or package.module:factory, got 'segnet'"),
        ("SETTING", "must not be named as a setting of training, got 'schedule' in .*:SETTING"),
        ("nowhere", "must be a name of own_"),
    ],
)
def test_rows_that_cannot_be_trained(own, name, message):
    with pytest.raises(ConfigError, match=message):
        find_method(f"{own}:{name}")


def test_a_text_that_is_no_name_lists_the_valid_ones():
    with pytest.raises(
        ConfigError, match=r"--models must name urec, unet, .*METHOD.* or .*, got 'vit'"
    ):
        find_method("vit")


@pytest.mark.parametrize(
    ("name", "unannotated"),
    [
        ("Plain", "nothing"),
        ("Both", "reconstruction"),
        ("Both", "nothing"),
        ("Frozen", "nothing"),
        ("Plain", "pseudo-labels"),
        ("Both", "pseudo-labels"),
        ("Both", "reconstruction-and-pseudo-labels"),
    ],
)
@pytest.mark.parametrize("reconstruct_on", ["all", "annotated"])
def test_sound_networks_pass(own, name, unannotated, reconstruct_on):
    before = torch.get_rng_state()
    _check(_method(own, name, unannotated), reconstruct_on=reconstruct_on)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_of_the_project_are_passed_over(monkeypatch):
    monkeypatch.setattr("trainables.networks.own.build_network", None)
    for method in METHODS.values():
        _check(method)


@pytest.mark.parametrize(
    ("name", "unannotated", "message"),
    [
        ("Unused", "nothing", "every parameter of .*:Unused must get a gradient from the loss, got "
         "none for back.weight, back.bias; take layers"),
        ("Plain", "reconstruction", "must give logits and a reconstruction, which Mine "),
        ("Plain", "reconstruction-and-pseudo-labels", "must give logits and a reconstruction"),
        ("Halves", "pseudo-labels", r"must take patches \(4, 4, 64, 64\) in training, got"),
        ("Numpy", "nothing", "weights of .*:Numpy must follow from the seed, got two values of "),
        ("OneBand", "reconstruction", r"reconstruction of .*:OneBand must be float "
         r"\(4, 4, 64, 64\) for images \(4, 4, 64, 64\), got torch.float32 \(4, 1, 64, 64\)"),
        ("Indices", "nothing", r"logits of .* must be float \(2, 5, 64, 64\) .*, got torch.int64"),
        ("Halves", "nothing", r"must take patches \(2, 4, 64, 64\) in training, got ValueError: "
         "outputs must have the height and width of the images"),
        ("OneAtATime", "nothing", "in training, got ValueError: for evaluation alone; mend"),
        ("NeverOne", "nothing", r"must take a window \(1, 4, 72, 72\), got ValueError: a batch of"),
    ],
)  # fmt: skip
def test_what_would_fail_or_mislead_later_is_told_before_the_first_trial(
    own, name, unannotated, message
):
    with pytest.raises(ConfigError, match=message) as caught:
        _check(_method(own, name, unannotated))
    assert "\n" not in str(caught.value)


def test_logits_of_another_number_of_classes(own_module):
    name = own_module(
        "from torch import nn\n"
        "def network(num_channels, num_classes):\n"
        "    return nn.Conv2d(num_channels, 6, 1)\n"
    )
    _check(_method(name, "network"), num_classes=6)
    with pytest.raises(
        ConfigError, match=r"must be float \(2, 5, 64, 64\).* got .*\(2, 6, 64, 64\)"
    ):
        _check(_method(name, "network"), num_classes=5)


def test_values_of_the_methods_parameters_are_tried(own):
    _check(find_method(f"{own}:DEEP"), method_parameters={"depth": 3})
    with pytest.raises(ConfigError, match=r"num_classes=5, depth='deep', got TypeError"):
        _check(find_method(f"{own}:DEEP"), method_parameters={"depth": "deep"})


LATER = """
import torch
from torch import nn

from contract.methods import Method
from contract.parameters import Parameter

class Plain(nn.Module):
    def __init__(self, num_channels, num_classes, depth=1):
        super().__init__()
        self.head = nn.Conv2d(num_channels, num_classes, 1)
        self.add()

    def add(self):
        pass

    def forward(self, images):
        return self.head(images)

class Drawn(Plain):
    def add(self):
        self.noise = torch.randn(())

    def forward(self, images):
        return super().forward(images * self.noise)

class Infinite(Plain):
    def add(self):
        self.register_buffer("mask", torch.tensor([0, float("-inf")]))

class Complex(Plain):
    def add(self):
        self.phase = nn.Parameter(torch.ones(2, dtype=torch.complex64))

class Deep(Plain):
    def forward(self, images):
        logits = super().forward(images)
        return [logits, logits] if self.training else logits

class Extra(Plain):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass

def integer(name):
    return (Parameter(name=name, label=name, kind="integer", lowest=1, low=1, high=4, default=1),)

UNREAD = Method(name="x", label="x", network="unet", parameters=integer("depth"))
BLIND = Method(name="x", label="x", network="unet", unannotated="reconstruction")
SIZE = Method(name="x", label="x", network=f"{__name__}:Plain", parameters=integer("downsample"))
UNet = Plain
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Drawn", "got other logits from the same weights"),
        ("Infinite", "must be finite real tensors, got another value in mask"),
        ("Extra", "must be finite real tensors, got another value in _extra_state"),
        ("Complex", "must be finite real tensors, got another value in phase"),
        ("Deep", "got TypeError: forward must give in training what it gives otherwise, one"),
    ],
)
def test_a_network_whose_file_could_not_be_written_or_predicts_otherwise(own_module, name, message):
    with pytest.raises(ConfigError, match=message):
        _check(_method(own_module(LATER), name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("UNREAD", "must be read by its network, got 'depth' for unet"),
        ("BLIND", "unet must give logits and a reconstruction"),
        ("SIZE", "must not be named as a setting of training, got 'downsample'"),
    ],
)
def test_a_row_whose_trials_would_fail_or_whose_parameter_is_another_one(own_module, name, message):
    with pytest.raises(ConfigError, match=message):
        find_method(f"{own_module(LATER)}:{name}")


def test_folders_of_trials_differ_where_case_does_not_count(own_module):
    assert find_method(f"{own_module(LATER)}:UNet").name.lower() != "unet"


INFRARED = """
from contract.methods import Method
from torch import nn

def infrared(num_channels, num_classes):
    if num_channels < 4:
        raise ValueError("needs the infrared band")
    return nn.Conv2d(num_channels, num_classes, 1)

ROW = Method(name="infrared", label="Infrared", network=f"{__name__}:infrared")
"""


def test_a_factory_for_other_bands_alone_is_told_of_rows(own_module):
    """A network that reads an infrared band could not be named, and nothing said why."""
    name = own_module(INFRARED)
    with pytest.raises(ConfigError, match=r"infrared band.*tried with 3 bands.*needs a row"):
        find_method(f"{name}:infrared")
    _check(find_method(f"{name}:ROW"))


def test_an_encoder_is_tried_at_the_sizes_of_a_study(write_encoder, monkeypatch):
    """One that takes images of the size alone that it was trained on, say."""
    method = find_method(f"urec:{write_encoder('resnet')}")
    _check(method)
    forward = Backbone.forward

    def forward_of_small(self, images):
        if images.shape[-1] > 64:
            raise ValueError("images must have 64 px")
        return forward(self, images)

    monkeypatch.setattr(Backbone, "forward", forward_of_small)
    said = f"encoder-urec with {method.encoder} must take a window .*, got ValueError: images must"
    with pytest.raises(ConfigError, match=said):
        _check(method)


def test_a_row_may_name_an_encoder(own_module, write_encoder):
    folder = write_encoder("resnet")
    own = own_module(
        f"""
from contract.methods import Method

NET = Method(name="net", label="Net", network="encoder-urec", encoder={str(folder)!r})
WITHOUT = Method(name="net", label="Net", network="encoder-unet")
PLAIN = Method(name="net", label="Net", network="unet", encoder={str(folder)!r})
"""
    )
    _check(find_method(f"{own}:NET"))
    for name in ("WITHOUT", "PLAIN"):
        with pytest.raises(ConfigError, match="encoder must be given for encoder-unet and encoder"):
            find_method(f"{own}:{name}")
