"""What one trial is told to do: frozen, checked when built, plain data on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from contract.methods import BUILT_FROM, METHODS
from contract.parameters import PARAMETERS, Value
from trainables.errors import ConfigError

Phase = Literal["search", "confirm"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of a training run; the defaults are the paper's and its authors' code's."""

    width: int = 32
    """Channels of the first encoder stage; the other stages have 2, 4, 8 and 16 times as many."""
    downsample: int = 1
    """Tiles are reduced by this factor when read; a pixel below is a pixel after reduction."""
    patch_px: int = 256
    """Side of a training patch."""
    sampling: Literal["random", "grid"] = "grid"
    """Patches at random positions, or from the grid of step `stride_px`, shuffled every epoch."""
    stride_px: int = 64
    """Step of the patch grid; it also defines what an epoch is."""
    augment: bool = False
    """Turn and flip patches at random (the eight symmetries of the square)."""
    batch_size: int = 14
    """Annotated patches per optimiser step."""
    steps: int = 104_700
    """Optimiser steps, the same for every annotation fraction and model."""
    epochs: int | None = 100
    """Where given, `steps` becomes epochs x grid patches / batch size when the study is planned."""
    lr: float = 1e-4
    """Learning rate of Adam at its highest."""
    weight_decay: float = 0.0
    """Decoupled weight decay per step, as a share of the learning rate (Loshchilov and Hutter)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the learning rate after warm-up: flat, or down to 0 along a half cosine."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly."""
    ema_decay: float = 0.0
    """Decay of the exponential moving average of weights that is validated and kept; 0 = off."""
    w1: float = 0.1
    """Weight of the reconstruction term, equation 3; for methods that reconstruct."""
    reconstruct_on: Literal["all", "annotated"] = "all"
    """Pixels of the L1 term: every training pixel, or those of the annotation budget alone."""
    budget_order: Literal["random", "diverse"] = "random"
    """Which units of the training tiles are annotated first: random ones, or those whose imagery
    differs most. The study draws its budgets by it."""
    label_noise_px: float = 0.0
    """Standard deviation of smooth offsets by which the borders of training labels are shifted, as
    an annotator's are; 0 for labels as they are. Those of validation and test always are."""
    seg_loss: Literal["ce", "ce_dice", "focal"] = "ce"
    """Loss of the annotated pixels: cross-entropy, with soft Dice added, or focal."""
    class_weights: Literal["none", "sqrt_inverse"] = "none"
    """What an annotated pixel counts there: the same, or by its class's share of the budget."""
    rec_loss: Literal["l1", "l2", "charbonnier", "l1_ssim", "gradient"] = "l1"
    """Error of a reconstructed pixel; for methods that reconstruct, as are all of these."""
    rec_target: Literal["image", "normalised"] = "image"
    """What is reconstructed: the image, or its patches with mean 0 and deviation 1 per band."""
    rec_mask: float = 0.0
    """Share of the patches from anywhere that is hidden, and then alone reconstructed."""
    rec_patches: int = 1
    """Patches from anywhere per annotated one in a step, where all pixels are reconstructed."""
    w1_schedule: Literal["constant", "ramp_up", "decay"] = "constant"
    """Course of `w1` over a run: flat, up from 0, or down to 0, both along a half cosine."""
    branch_norm: Literal["shared", "separate"] = "shared"
    """Whether the two branches share the statistics of batch normalisation."""
    rec_decoder: Literal["shared", "own"] = "shared"
    """Whether the reconstruction borrows the blocks of the other decoder or has its own."""
    encoder_weights: Literal["pretrained", "random"] = "pretrained"
    """What a pretrained encoder begins with; for methods that have one, as is the next."""
    encoder_lr: float = 0.1
    """Learning rate of pretrained weights as a share of `lr`; random ones learn by `lr` itself."""
    pseudo_threshold: float = 0.95
    """Least probability with which the teacher's label of a pixel is learned; for methods with
    pseudo-labels, as are the next two."""
    pseudo_weight: float = 1.0
    """Weight of the pseudo-labels beside the other terms of the loss."""
    teacher_decay: float = 0.99
    """Share of its own weights that the teacher keeps in a step, once there have been enough."""
    num_validations: int = 100
    """Validations over a run, evenly spaced, the last at the last step."""
    infer_window_px: int = 256
    """Side of the windows at validation, test and prediction."""
    infer_step_px: int = 128
    """Step of those windows; logits are added where they overlap."""
    select_by: Literal["mean_f1", "miou", "oa"] = "mean_f1"
    """Validation measure that chooses the weights of a trial and the hyperparameters of an arm."""
    plateau_tolerance: float = 0.01
    """Rise of the selected measure over the last third of a run that still counts as flat."""
    method_parameters: Mapping[str, Value] = field(default_factory=dict)
    """Values of the parameters that the method alone has, by name (`Method.parameters`)."""
    precision: Precision = "fp32"
    """Arithmetic of forward and backward; weights and losses stay float32. A card without bf16
    uses fp32, a processor without it emulates it, slower than fp32."""

    def __post_init__(self) -> None:
        """Check every field; raise `ConfigError` on the first that breaks its rule."""
        _check_types(self)
        for name in training_fields():
            if name in PARAMETERS:
                rule = PARAMETERS[name]
                _require(self, name, rule.holds(getattr(self, name)), rule.rule)
        for name in ("downsample", "stride_px", "steps", "num_validations", "infer_window_px",
                     "infer_step_px"):  # fmt: skip
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "epochs", self.epochs is None or self.epochs >= 1, "at least 1 or null")
        _require(
            self,
            "stride_px",
            self.sampling == "random" or self.stride_px <= self.patch_px,
            f"at most patch_px ({self.patch_px}), or pixels lie in no patch",
        )
        _require(
            self,
            "rec_mask",
            self.rec_mask == 0 or self.reconstruct_on == "all",
            "0 where reconstruct_on is annotated: patches that are segmented are never hidden",
        )
        _require(
            self,
            "rec_patches",
            self.rec_patches == 1 or self.reconstruct_on == "all",
            "1 where reconstruct_on is annotated: no patches from anywhere are drawn then",
        )
        _require(self, "warmup_steps", self.warmup_steps < self.steps, "in [0, steps)")
        _require(self, "plateau_tolerance", self.plateau_tolerance >= 0, "at least 0")
        _require(
            self,
            "num_validations",
            self.num_validations <= self.steps,
            f"at most the number of steps ({self.steps})",
        )
        _require(
            self,
            "infer_step_px",
            self.infer_step_px <= self.infer_window_px,
            f"at most infer_window_px ({self.infer_window_px})",
        )

    def validation_steps(self) -> tuple[int, ...]:
        """Steps after which the model is validated, ascending; the last is `steps`."""
        return tuple(
            (i + 1) * self.steps // self.num_validations for i in range(self.num_validations)
        )


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One training run."""

    key: str
    """Unique in the study and readable: `confirm-NAME-f0.10-s2`."""
    phase: Phase
    model: str
    """Name of the method (`contract.methods.Method`)."""
    label_frac: float
    """Annotated / labelled pixels of the training tiles, in (0, 1]."""
    seed: int
    """One draw of everything random: budget, weights, patch order, augmentation."""
    training: TrainingConfig
    variant: str | None = None
    """Name of the method with what a study compares of it (`contract.variants.Variant`); None for
    the method's."""
    network: str = ""
    """Key of `trainables.networks.build.NETWORKS` or `package.module:factory`; "" for that of a
    method of `contract.methods`."""
    unannotated: str = ""
    """Key of `trainables.methods.METHODS`: what it does with unannotated pixels; "" likewise."""
    encoder: str | None = None
    """The pretrained encoder that the network is built on, as `--models` names it, if there is one;
    what it holds comes with the data."""

    def __post_init__(self) -> None:
        """Check every field; raise `ConfigError` on the first that breaks its rule."""
        _check_types(self)
        for name in ("network", "unannotated"):
            if not getattr(self, name):
                if self.model not in METHODS:
                    raise ConfigError(
                        f"model must be one of {', '.join(METHODS)} where {name} is not given, "
                        f"got {self.model!r}"
                    )
                object.__setattr__(self, name, getattr(METHODS[self.model], name))
        if not 0 < self.label_frac <= 1:
            raise ConfigError(f"label_frac must be in (0, 1], got {self.label_frac!r}")
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, got {self.seed!r}")

    def to_plain(self) -> dict[str, Any]:
        """Nested dictionary of numbers and strings, for Ray, YAML and JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TrialConfig:
        """Inverse of `to_plain`."""
        return cls(**{**plain, "training": TrainingConfig(**plain["training"])})


def network_parameters(network: str, training: TrainingConfig) -> dict[str, Value]:
    """Values that a network is built from, besides its sizes.

    Args:
        network: `TrialConfig.network`.
        training: The trial's settings.

    Returns:
        By name, those of `contract.methods.BUILT_FROM` and of the method alone.
    """
    rows = {name: getattr(training, name) for name in BUILT_FROM.get(network, ())}
    return rows | dict(training.method_parameters)


def training_fields() -> tuple[str, ...]:
    """Names of the fields of `TrainingConfig`, in their order."""
    return tuple(one.name for one in fields(TrainingConfig))


def _require(config: TrainingConfig, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {rule}, got {getattr(config, name)!r}")


def _check_types(config: TrainingConfig | TrialConfig) -> None:
    """Refuse a value of another type than its field's, as a YAML file may bring it."""
    for name, hint in _HINTS[type(config)].items():
        value = getattr(config, name)
        if get_origin(hint) is Literal:
            choices = get_args(hint)
            if value not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
            continue
        if get_origin(hint) is Mapping:
            if not isinstance(value, dict):
                raise ConfigError(f"{name} must be `key: value` lines, got {value!r}")
            continue
        allowed: tuple[type, ...] = get_args(hint) or (hint,)
        if float in allowed:
            allowed = (*allowed, int)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            names = " or ".join(kind.__name__ for kind in get_args(hint) or (hint,))
            raise ConfigError(f"{name} must be of type {names}, got {value!r}")


_HINTS: Final = {kind: get_type_hints(kind) for kind in (TrainingConfig, TrialConfig)}
"""Parsed once: a driver builds thousands."""
