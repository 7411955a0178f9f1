import json
import shutil
from dataclasses import replace

import pytest
import torch

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.errors import ConfigError
from trainables.networks.build import ENCODER_NETWORKS, build_network
from trainables.networks.encoders.reading import read_encoder
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.settings.process_group import ALONE
from trainables.training import loop
from trainables.training.loop import TrainingData, train
from trainables.training.step import Step

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
KINDS = ("resnet", "convnextv2", "swin", "dinov3")
TRAINING = TrainingConfig(
    width=2,
    patch_px=32,
    sampling="random",
    augment=True,
    batch_size=2,
    steps=2,
    epochs=None,
    lr=1e-2,
    num_validations=2,
    infer_window_px=48,
    infer_step_px=48,
)


def _trial(network="encoder-urec", **training):
    return TrialConfig(
        key="t",
        phase="confirm",
        model="mine",
        network=network,
        unannotated="nothing" if network == "encoder-unet" else "reconstruction",
        encoder="somewhere",
        label_frac=0.4,
        seed=3,
        training=replace(TRAINING, **training),
    )


@pytest.fixture(scope="module")
def make_data(random_tiles):
    def make(encoder, num_bands=3):
        tiles = random_tiles([(80, 90), (50, 70)], num_bands=num_bands)
        unit = Unit(kind="block", size_px=16)
        budget, pixels = draw_budget(tiles, fraction=0.4, seed=0, unit=unit, num_classes=3)
        return TrainingData(
            train=tiles,
            annotated=pixels,
            class_px=budget.class_px,
            scaling=uint8_scaling(num_bands),
            val=random_tiles([(40, 33)], num_bands=num_bands, seed=9),
            class_names=("a", "b", "c"),
            exclude_from_mean=(),
            encoder=encoder,
        )

    return make


def _build(name, encoder, num_channels=3, seed=1, **parameters):
    return build_network(
        name, num_channels, 5, width=2, encoder=encoder, parameters=parameters,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


@pytest.mark.parametrize("name", ENCODER_NETWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_have_the_size_of_the_images(encoders, kind, name):
    for num_channels, size in ((3, (64, 64)), (4, (33, 75)), (1, (7, 40))):
        network = _build(name, encoders(kind), num_channels).eval()
        images = torch.rand(3, num_channels, *size)
        output = network(images, num_segment=2)
        assert output.logits.shape == (2, 5, *size)
        torch.testing.assert_close(network.segment(images)[:2], output.logits, rtol=1e-3, atol=1e-4)
        assert network.has_reconstruction == (name == "encoder-urec")
        if network.has_reconstruction:
            assert output.reconstruction.shape == images.shape
            torch.testing.assert_close(
                network.reconstruct(images), output.reconstruction, rtol=1e-3, atol=1e-4
            )


def test_a_seed_gives_both_networks_the_same_weights(encoders):
    first, second = (_build(name, encoders("resnet")).state_dict() for name in ENCODER_NETWORKS)
    assert set(first) < set(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = _build("encoder-unet", encoders("resnet"), seed=2).state_dict()
    for name in ("bottom.0.weight", "segmentation.entries.0.0.weight"):
        assert not torch.equal(first[name], other[name])
    pretrained = [name for name in first if name.startswith("encoder.")]
    assert all(torch.equal(first[name], other[name]) for name in pretrained)


def test_a_random_encoder_leaves_the_decoder_its_weights(encoders):
    first = _build("encoder-urec", encoders("convnextv2")).state_dict()
    random = _build("encoder-urec", encoders("convnextv2"), encoder_weights="random").state_dict()
    other = _build(
        "encoder-urec", encoders("convnextv2"), seed=2, encoder_weights="random"
    ).state_dict()
    name = "encoder.model.embeddings.patch_embeddings.weight"
    assert not torch.equal(first[name], random[name])
    assert not torch.equal(other[name], random[name])
    for name in first:
        if not name.startswith("encoder."):
            assert torch.equal(first[name], random[name]), name


def test_decoders_share_as_published_or_nothing(encoders):
    shared, own = (
        _build("encoder-urec", encoders("resnet"), rec_decoder=level).state_dict()
        for level in ("shared", "own")
    )
    more = {name for name in own if name not in shared}
    assert more == {
        name.replace("segmentation.", "reconstruction.")
        for name in own
        if name.startswith("segmentation.refinements.")
    }


@pytest.mark.parametrize(("name", "value"), [("encoder_weights", "mine"), ("encoder_lr", 0.0)])
def test_values_that_break_their_rule(encoders, name, value):
    with pytest.raises(ConfigError, match=f"{name} must be "):
        _build("encoder-unet", encoders("resnet"), **{name: value})


def test_without_an_encoder_there_is_no_network():
    with pytest.raises(ConfigError, match="network must have an encoder, got none"):
        build_network("encoder-unet")


@pytest.mark.parametrize("num_bands", [3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(encoders, make_data, kind, num_bands):
    trial, data = _trial(), make_data(encoders(kind), num_bands)
    state = loop._new_state(trial, data, CPU, ALONE)
    Step(state, trial, CPU, ALONE).take(loop.build_sampler(trial, data, CPU, ALONE).draw(0))
    for name, one in state.model.named_parameters():
        if name.removeprefix("encoder.model.") in data.encoder.unused:
            assert not one.requires_grad, name
        else:
            assert one.grad is not None, name
            assert one.grad.isfinite().all(), name


def _moved(data, **training):
    """How far one step of Adam moves the weights of the encoder and of the rest, in `lr`."""
    trial = _trial(**training)
    state = loop._new_state(trial, data, CPU, ALONE)
    before = {name: one.detach().clone() for name, one in state.model.named_parameters()}
    Step(state, trial, CPU, ALONE).take(loop.build_sampler(trial, data, CPU, ALONE).draw(0))
    moved = {
        name: float((one.detach() - before[name]).abs().max()) / TRAINING.lr
        for name, one in state.model.named_parameters()
    }
    of_encoder = [value for name, value in moved.items() if name.startswith("encoder.")]
    return max(of_encoder), max(value for n, value in moved.items() if not n.startswith("encoder."))


def test_pretrained_weights_learn_by_a_share_and_random_ones_by_lr(encoders, make_data):
    """The first step of Adam moves a weight by the learning rate."""
    data = make_data(encoders("resnet"))
    assert _moved(data, encoder_lr=0.25) == pytest.approx((0.25, 1), rel=1e-2)
    assert _moved(data) == pytest.approx((0.1, 1), rel=1e-2)
    assert _moved(data, encoder_lr=0.25, encoder_weights="random") == pytest.approx(
        (1, 1), rel=1e-2
    )


def test_the_schedule_is_that_of_both(encoders, make_data):
    data = make_data(encoders("resnet"))
    trial = _trial(encoder_lr=0.5, warmup_steps=2, steps=4)
    state = loop._new_state(trial, data, CPU, ALONE)
    step, sampler = Step(state, trial, CPU, ALONE), loop.build_sampler(trial, data, CPU, ALONE)
    rates = []
    for state.step in range(3):
        step.take(sampler.draw(state.step))
        rates.append([group["lr"] for group in state.optimizer.param_groups])
    assert rates == [pytest.approx((lr, lr / 2)) for lr, _ in rates]
    assert rates[0][0] < rates[1][0]
    plain = loop._new_state(replace(trial, network="urec"), data, CPU, ALONE)
    assert len(plain.optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("kind", "training"),
    [
        ("resnet", {}),
        ("convnextv2", {"ema_decay": 0.8}),
        ("swin", {"encoder_weights": "random"}),
        ("dinov3", {"rec_decoder": "own"}),
    ],
    ids=KINDS,
)
def test_a_continued_run_is_an_undisturbed_one_and_its_file_needs_nothing_else(
    write_encoder, make_data, tmp_path, monkeypatch, kind, training
):
    """Drop path included; the folder is gone when the file is applied, and so is the hub."""
    folder = write_encoder(kind, tmp_path / "encoder")
    data, trial = make_data(read_encoder(str(folder)), 4), _trial(**training)

    def run(name, report=lambda step, rows: None):
        return train(trial, data, device=CPU, checkpoint=tmp_path / name, report=report)

    def stop(step, rows):
        if step == 1:
            raise KeyboardInterrupt

    first = run("1.pt")
    with pytest.raises(KeyboardInterrupt):
        run("2.pt", stop)
    torch.rand(5)
    continued = run("2.pt")
    weights = first.model.state_dict()
    for name, value in continued.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert json.dumps(first.history) == json.dumps(continued.history)

    kept = TrainedModel.from_trial(
        first.model, trial, bands=tuple("rgbn"), scaling=data.scaling, encoder=data.encoder,
        classes=[ClassSpec(name=one, color=(index, 0, 0)) for index, one in enumerate("abc")],
    )  # fmt: skip
    kept.save(tmp_path / "model.pt")
    shutil.rmtree(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("socket.socket.connect", None)
    built = TrainedModel.load(tmp_path / "model.pt").build()
    images = torch.rand(1, 4, 50, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            built.double().segment(images.double()), first.model.double().segment(images.double())
        )


def test_a_tiny_residual_encoder_does_not_end_the_process(encoders, make_data):
    """Its strided 1x1 convolutions wrote beyond their memory, which showed some steps later."""
    trial, data = _trial(), make_data(encoders("resnet"))
    state = loop._new_state(trial, data, CPU, ALONE)
    step, sampler = Step(state, trial, CPU, ALONE), loop.build_sampler(trial, data, CPU, ALONE)
    for _ in range(8):
        step.take(sampler.draw(0))
    strided = [
        one for one in state.model.modules()
        if isinstance(one, torch.nn.Conv2d) and one.kernel_size == (1, 1) and one.stride != (1, 1)
    ]  # fmt: skip
    assert strided == []


def test_drop_path_draws_by_the_seed_and_matters(encoders, make_data, tmp_path):
    """Two seeds of patches alone would differ too: here the draws alone are left out."""
    data = make_data(encoders("convnextv2"))
    without = make_data(
        replace(data.encoder, config=data.encoder.config.replace('"drop_path_rate": 0.2',
                                                                '"drop_path_rate": 0.0'))
    )  # fmt: skip
    assert without.encoder.config != data.encoder.config
    trained = [
        train(_trial(), one, device=CPU, checkpoint=tmp_path / f"{number}.pt",
              report=lambda step, rows: None).model.state_dict()
        for number, one in enumerate((data, data, without))
    ]  # fmt: skip
    name = "encoder.model.encoder.stages.3.layers.0.dwconv.weight"
    assert torch.equal(trained[0][name], trained[1][name])
    assert not torch.equal(trained[0][name], trained[2][name])
