"""Reads a pretrained encoder from a folder or from Hugging Face's hub.

transformers is imported where an encoder is read or built, and nowhere else: it is an extra.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from trainables.errors import ConfigError
from trainables.networks.encoders.naming import encoder_folder
from trainables.networks.network import PretrainedEncoder
from trainables.networks.own_network import errors_in_one_line, one_line

_CONFIG: Final = "config.json"
_PREPROCESSING: Final = "preprocessor_config.json"
_WEIGHTS: Final = ("model*.safetensors", "pytorch_model*.bin")
"""Weights as `save_pretrained` writes them, now and formerly."""
_PROBE_PX: Final = 224
"""A multiple of the strides that encoders have: 4, 7, 8, 14, 16, 32."""
_NUM_STAGES: Final = 4
"""Stages that are taken of an encoder of one scale, at equal distances, the last among them."""
_ADDED_NORMS: Final = "hidden_states_norms."
"""Norms of stages, which backbones have and models that were trained to classify do not."""
_OF_NO_WEIGHT: Final = ("_name_or_path", "architectures", "dtype", "id2label", "label2id",
                        "torch_dtype", "transformers_version")  # fmt: skip
"""What a configuration says besides how the encoder computes."""
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of red, green and blue, where an encoder does not say what it was given."""


def import_transformers() -> ModuleType:
    """The library, in a version that this project knows.

    Raises:
        ConfigError: If it is not installed, or of another version.
    """
    advice = "install the extra `encoders`: pip install -e '.[encoders]'"
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"pretrained encoders must have transformers installed, got {one_line(error)}; {advice}"
        ) from error
    if transformers.__version__.partition(".")[0] != "5":
        raise ConfigError(
            f"pretrained encoders must have transformers 5, got {transformers.__version__}; "
            f"{advice}"
        )
    module: ModuleType = transformers
    return module


@cache
def read_encoder(source: str) -> PretrainedEncoder:
    """Read an encoder with its weights; once in a process.

    Args:
        source: A folder that `save_pretrained` wrote, or a model of the hub.

    Raises:
        ConfigError: If transformers is not there, nothing can be read, or it is no backbone with
            stages that is trained on images.
    """
    transformers = import_transformers()
    with _silenced(transformers):
        folder = encoder_folder(source) or _download(source)
        _check_files(folder, source)
        with torch.random.fork_rng(devices=[]):
            return _read_folder(folder, source)


def build_backbone(config: str, num_channels: int | None = None) -> nn.Module:
    """A backbone of transformers with random weights, drawn from the global generator, float32.

    Args:
        config: As `PretrainedEncoder.config`.
        num_channels: Bands of the images, C; None for what it was trained on.
    """
    import_transformers()
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    content = json.loads(config)
    if num_channels is not None:
        content["num_channels"] = num_channels
    built = CONFIG_MAPPING[content["model_type"]].from_dict(content)
    backbone: nn.Module = MODEL_FOR_BACKBONE_MAPPING[type(built)]._from_config(
        built, dtype=torch.float32
    )
    return backbone


def _download(source: str) -> Path:
    """The folder into which the hub's client puts, or has put, a model.

    Raises:
        ConfigError: If there is no such model, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with errors_in_one_line(
        f"{source} must be a folder, or a model that Hugging Face's hub gives",
        "name a folder that save_pretrained wrote (docs/networks.md), or connect to the hub",
    ):
        for weights in _WEIGHTS:
            wanted = [_CONFIG, _PREPROCESSING, weights, f"{weights}.index.json"]
            folder = Path(snapshot_download(source, allow_patterns=wanted))
            if list(folder.glob(weights)):
                break
    return folder


def _check_files(folder: Path, source: str) -> None:
    """Refuse a folder that lacks what is read of it."""
    for what, names in (("a configuration", (_CONFIG,)), ("weights", _WEIGHTS)):
        if not any(list(folder.glob(name)) for name in names):
            raise ConfigError(
                f"{source} must hold {what}, {' or '.join(names)}, got none; name a folder that "
                "save_pretrained wrote"
            )


def _read_folder(folder: Path, source: str) -> PretrainedEncoder:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    with errors_in_one_line(
        f"{source} must be a model that transformers can read", "take another folder or model"
    ):
        raw = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        is_backbone = type(config) in MODEL_FOR_BACKBONE_MAPPING
    if not (
        is_backbone
        and isinstance(getattr(config, "num_channels", None), int)
        and len(getattr(config, "stage_names", None) or ()) > 2
    ):
        raise ConfigError(
            f"{source} must be an image backbone with stages, such as ResNet, ConvNeXt V2, Swin or "
            f"DINOv3, got {config.model_type}; take another model"
        )
    with errors_in_one_line(
        f"{source} must be a backbone that transformers can load", "take another folder or model"
    ):
        config.out_features = list(config.stage_names[1:])  # the first is the stem
        if hasattr(config, "reshape_hidden_states"):
            config.reshape_hidden_states = True
        # The class itself: AutoBackbone would ask the hub whether it has a model of this name.
        loaded, report = MODEL_FOR_BACKBONE_MAPPING[type(config)].from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
        _check_loaded(source, report["missing_keys"])
        stages = _stages(source, config.out_features, _feature_maps(loaded, config.num_channels))
        config.out_features = [name for name, _, _ in stages]
        text = _config_text(config)
        backbone = build_backbone(text)
        state = {name: loaded.state_dict()[name].clone() for name in backbone.state_dict()}
        backbone.load_state_dict(state)
        unused = _without_gradient(backbone, config.num_channels)
    if broken := [name for name, value in state.items() if not value.isfinite().all()]:
        raise ConfigError(f"weights of {source} must be finite, got NaN or infinity in {broken[0]}")
    mean, std = _normalisation(folder, source)
    return PretrainedEncoder(
        source=source,
        config=text,
        channels=tuple(channels for _, channels, _ in stages),
        strides=tuple(stride for _, _, stride in stages),
        mean=mean,
        std=std,
        unused=unused,
        checksum=_checksum(raw, mean, std, state),
        state=state,
    )


def _check_loaded(source: str, missing: set[str]) -> None:
    """Refuse a file that lacks weights which would then be random."""
    lacking = sorted(name for name in missing if not name.startswith(_ADDED_NORMS))
    if lacking:
        raise ConfigError(
            f"{source} must hold all weights of its encoder, got none for {len(lacking)} of them, "
            f"{lacking[0]} say; take another folder or model"
        )


def _feature_maps(backbone: nn.Module, num_channels: int) -> Sequence[Tensor]:
    """What a backbone makes of a small image in evaluation mode."""
    maps: Sequence[Tensor] = backbone.eval()(
        torch.zeros(1, num_channels, _PROBE_PX, _PROBE_PX)
    ).feature_maps
    return maps


def _stages(
    source: str, names: Sequence[str], maps: Sequence[Tensor]
) -> list[tuple[str, int, int]]:
    """Name, channels and stride of the stages that are used, finest first.

    Of several stages of one stride the last is used. An encoder of one stride alone, as a vision
    transformer is, gives four stages at equal distances.

    Raises:
        ConfigError: If the maps are of other forms.
    """
    sizes = [tuple(one.shape[2:]) for one in maps]
    if any(len(size) != 2 or size[0] != size[1] or _PROBE_PX % size[0] for size in sizes):
        raise ConfigError(
            f"stages of {source} must be maps whose sides divide {_PROBE_PX} px, got {sizes}; take "
            "another model"
        )
    found = [
        (name, one.shape[1], _PROBE_PX // one.shape[2])
        for name, one in zip(names, maps, strict=True)
    ]
    strides = [stride for _, _, stride in found]
    if len(set(strides)) == 1 and len(found) >= _NUM_STAGES:
        return [found[len(found) * (i + 1) // _NUM_STAGES - 1] for i in range(_NUM_STAGES)]
    if strides != sorted(strides) or len(set(strides)) == 1:
        raise ConfigError(
            f"stages of {source} must be of growing strides, or {_NUM_STAGES} or more of one, got "
            f"{strides}; take another model"
        )
    return list({stage[2]: stage for stage in found}.values())


def _without_gradient(backbone: nn.Module, num_channels: int) -> tuple[str, ...]:
    """Names of the parameters that none of the feature maps depends on."""
    loss = sum(one.square().mean() for one in _feature_maps(backbone, num_channels))
    assert isinstance(loss, Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    return tuple(name for name, one in backbone.named_parameters() if one.grad is None)


def _config_text(config: Any) -> str:
    """A configuration as JSON, whole, so that it means the same to another version."""
    content = json.loads(config.to_json_string(use_diff=False))
    return json.dumps({k: v for k, v in content.items() if k not in _OF_NO_WEIGHT}, sort_keys=True)


def _normalisation(folder: Path, source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by which images were normalised, band by band; ImageNet's if not said.

    Raises:
        ConfigError: If the file that says it cannot be read.
    """
    path = folder / _PREPROCESSING
    if not path.exists():
        return _IMAGENET
    with errors_in_one_line(
        f"{_PREPROCESSING} of {source} must hold image_mean and image_std", "mend the file"
    ):
        said = json.loads(path.read_text(encoding="utf-8"))
        if said.get("do_normalize") is False:
            return (0.0,), (1.0,)
        mean, std = (
            tuple(map(float, said.get(name) or default))
            for name, default in zip(("image_mean", "image_std"), _IMAGENET, strict=True)
        )
        if not mean or len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"{list(mean)} and {list(std)}")
    return mean, std


def _checksum(
    raw: Mapping[str, Any],
    mean: Sequence[float],
    std: Sequence[float],
    state: Mapping[str, Tensor],
) -> str:
    """SHA-256 of all that the encoder computes with, wherever it lies."""
    said = {key: value for key, value in raw.items() if key not in _OF_NO_WEIGHT}
    digest = hashlib.sha256(json.dumps([said, mean, std], sort_keys=True).encode())
    for name in sorted(state):
        value = state[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def _silenced(transformers: ModuleType) -> Iterator[None]:
    """Keep transformers from drawing a bar for loading, and a table of what it does not need."""
    logging = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
