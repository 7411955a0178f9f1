import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from trainables.errors import ConfigError
from trainables.networks.encoders.reading import build_backbone, read_encoder
from trainables.networks.network import PretrainedEncoder

KINDS = ("resnet", "convnextv2", "swin", "dinov3")
ROOT = Path(__file__).parents[4]


@pytest.fixture
def resnet(write_encoder, tmp_path):
    """A folder that a test may change."""
    return write_encoder("resnet", tmp_path / "resnet")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No hub, and an empty folder in which its client keeps what it has loaded."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("kind", KINDS)
def test_stages_of_every_kind(encoders, kind):
    found = encoders(kind)
    is_of_one_scale = kind == "dinov3"
    assert found.strides == ((16,) * 4 if is_of_one_scale else (4, 8, 16, 32))
    stages = ("stage2", "stage4", "stage6", "stage8") if is_of_one_scale else (
        "stage1", "stage2", "stage3", "stage4")  # fmt: skip
    assert tuple(json.loads(found.config)["out_features"]) == stages
    maps = build_backbone(found.config)(torch.rand(1, 3, 64, 96)).feature_maps
    sizes = tuple((64 // stride, 96 // stride) for stride in found.strides)
    assert tuple(one.shape[1:] for one in maps) == tuple(
        (channels, *size) for channels, size in zip(found.channels, sizes, strict=True)
    )


def test_weights_are_those_of_the_file(encoders):
    found = encoders("convnextv2")
    kept = load_file(Path(found.source) / "model.safetensors")
    norms = [name for name in found.state if name.startswith("hidden_states_norms.")]
    assert len(norms) == 8
    for name in set(found.state) - set(norms):
        assert torch.equal(found.state[name], kept[f"convnextv2.{name}"]), name
    assert all((found.state[name] == name.endswith("weight")).all() for name in norms)


def test_parameters_that_no_stage_depends_on_are_named(encoders):
    assert encoders("dinov3").unused == ("embeddings.mask_token",)
    assert encoders("swin").unused == ("swin.layernorm.weight", "swin.layernorm.bias")
    assert encoders("resnet").unused == encoders("convnextv2").unused == ()


def test_reading_draws_nothing_and_says_nothing(resnet, capfd):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    read_encoder(str(resnet))
    assert torch.equal(torch.rand(3), expected)
    assert capfd.readouterr() == ("", "")


def test_normalisation_is_what_the_folder_says(resnet):
    assert read_encoder(f"{resnet}/").mean == (0.485, 0.456, 0.406), "ImageNet's"
    for number, (said, mean, std) in enumerate(
        [
            ({"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}, (0.1, 0.2, 0.3), (1, 2, 3)),
            ({"do_normalize": False, "image_mean": [0.5] * 3}, (0,), (1,)),
        ]
    ):
        (resnet / "preprocessor_config.json").write_text(json.dumps(said))
        found = read_encoder(f"{resnet}{'/.' * (number + 1)}")
        assert (found.mean, found.std) == (mean, std)


def test_the_checksum_is_of_the_content_and_of_nothing_else(write_encoder, tmp_path):
    first = write_encoder("resnet", tmp_path / "a")
    same = shutil.copytree(first, tmp_path / "b")
    config = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps(config | {"transformers_version": "5.0"}))
    other = write_encoder("resnet", tmp_path / "c", seed=1)
    kept = load_file(first / "model.safetensors")
    name = next(
        name for name in kept if name.endswith("stages.0.layers.0.layer.0.convolution.weight")
    )
    kept[name][0, 0, 0, 0] += 1e-6
    nearly = shutil.copytree(first, tmp_path / "d")
    save_file(kept, nearly / "model.safetensors", metadata={"format": "pt"})
    normalised = shutil.copytree(first, tmp_path / "e")
    (normalised / "preprocessor_config.json").write_text('{"do_normalize": false}')
    sums = [read_encoder(str(one)).checksum for one in (first, same, other, nearly, normalised)]
    assert sums[0] == sums[1]
    assert len(set(sums)) == 4


def test_plain_data_come_back(encoders):
    found = encoders("swin")
    plain = json.loads(json.dumps(found.to_plain()))
    back = PretrainedEncoder.from_plain(plain)
    assert back.state is None
    assert vars(back) == vars(replace(found, state=None))


def _drop(folder, name):
    (folder / name).unlink()


def _set_config(folder, **changed):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def _drop_weight(folder, part):
    path = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if part not in name}
    save_file(kept, path, metadata={"format": "pt"})


def _spoil_weight(folder):
    path = folder / "model.safetensors"
    kept = load_file(path)
    next(one for name, one in kept.items() if "convolution" in name).view(-1)[0] = torch.nan
    save_file(kept, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: _drop(f, "config.json"), "must hold a configuration, config.json, got none"),
        (lambda f: _drop(f, "model.safetensors"), "must hold weights, model.*, got none"),
        (lambda f: (f / "config.json").write_text("{"), "that transformers can read, got JSON"),
        (lambda f: _set_config(f, model_type="novel"), "transformers can read, got ValueError"),
        (
            lambda f: _set_config(f, model_type="novel", auto_map={"AutoConfig": "code.Config"}),
            "transformers can read, got ValueError: .*trust_remote_code",
        ),
        (lambda f: _set_config(f, model_type="bert"), "must be an image backbone .*, got bert"),
        (lambda f: _set_config(f, model_type="vit"), "must be an image backbone .*, got vit"),
        (lambda f: _set_config(f, hidden_sizes=[4, 4, 6, 9]), "that .* can load, got RuntimeError"),
        (lambda f: (f / "model.safetensors").write_bytes(b"0" * 99), "that .* can load, got"),
        (lambda f: _drop_weight(f, "stages.3"), "must hold all weights of its encoder, got"),
        (_spoil_weight, "weights of .* must be finite"),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"image_std": [0, 1, 1]}'),
            "preprocessor_config.json of .* must hold image_mean and image_std, got ValueError",
        ),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_read(resnet, damage, message):
    damage(resnet)
    with pytest.raises(ConfigError) as caught:
        read_encoder(str(resnet))
    assert re.search(message, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)
    assert str(resnet) in str(caught.value)


def test_a_vision_transformer_of_few_layers_has_too_few_stages(write_encoder):
    folder = write_encoder("dinov3", num_hidden_layers=3)
    with pytest.raises(
        ConfigError, match=r"growing strides, or 4 or more of one, got \[16, 16, 16\]"
    ):
        read_encoder(str(folder))


@pytest.mark.parametrize(
    "source", ["facebook/convnextv2-tiny-1k-224", "./nowhere", "nowhere", "a/b/c"]
)
def test_a_model_that_neither_the_disk_nor_the_hub_has(offline, source):
    with pytest.raises(ConfigError) as caught:
        read_encoder(source)
    said = str(caught.value)
    assert said.startswith(
        f"{source} must be a folder, or a model that Hugging Face's hub gives, got"
    )
    assert said.endswith(
        "name a folder that save_pretrained wrote (docs/networks.md), or connect to the hub"
    )
    assert "\n" not in said


def test_what_the_hubs_client_has_kept_needs_no_hub(offline, encoders):
    """As `snapshot_download` lays it out, of a model that was read before."""
    place = offline / "models--somebody--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0123abc")
    shutil.copytree(encoders("convnextv2").source, place / "snapshots" / "0123abc")
    found = read_encoder("somebody/tiny")
    assert found.checksum == encoders("convnextv2").checksum
    assert found.source == "somebody/tiny"


def test_without_the_extra_it_says_what_to_install(monkeypatch, resnet):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"must have transformers installed, .*\.\[encoders\]"):
        read_encoder(str(resnet))


def test_another_version_is_refused(monkeypatch, resnet):
    import transformers

    monkeypatch.setattr(transformers, "__version__", "4.57.1")
    with pytest.raises(ConfigError, match=r"must have transformers 5, got 4.57.1; install"):
        read_encoder(str(resnet))


def test_nobody_without_an_encoder_imports_transformers():
    """Neither the command nor the training of a trial, which would wait seconds for it."""
    code = (
        "import sys, run_study, trainables.training.loop, trainables.networks.own\n"
        "from study.settings.command_line import parse_arguments\n"
        "from trainables.networks.build import build_network\n"
        "parse_arguments(['--models', 'urec,unet'])\n"
        "build_network('urec', width=1)\n"
        "assert 'torch' in sys.modules and 'transformers' not in sys.modules\n"
        "assert 'huggingface_hub' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
