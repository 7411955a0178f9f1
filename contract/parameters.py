"""What a study can vary: each parameter's kind, domain and scale, and the methods that have it.

A row here and the line that uses the value are a new parameter; nothing else knows its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Value = bool | int | float | str
Kind = Literal["float", "integer", "choice", "yes/no"]

_WORD: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
"""What the grammar of a space and the names of folders can hold."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A quantity that a study can vary; plain data, so that a study's record can hold it.

    Raises:
        ValueError: If its default range or levels break its own rule.
    """

    name: str
    label: str
    """How a chart names it."""
    kind: Kind = "float"
    lowest: float = -math.inf
    """Numbers below it are refused."""
    highest: float = math.inf
    """Numbers above it are refused."""
    with_lowest: bool = True
    """Whether `lowest` itself is allowed."""
    with_highest: bool = True
    choices: tuple[str, ...] = ()
    """What can be chosen, where the kind is `choice`."""
    low: float | None = None
    """Default search range of a number, with `high`."""
    high: float | None = None
    log: bool = False
    """Whether a range is searched and drawn on a logarithmic scale."""
    levels: tuple[Value, ...] = ()
    """Default levels, where it is named without any and has no range."""
    takes_time: bool = False
    """Whether a trial takes longer with a larger value."""
    is_factor: bool = False
    """Whether it is never searched: every level is an arm of its own."""
    unannotated: tuple[str, ...] | None = None
    """Uses of unannotated pixels (`Method.unannotated`) that have it; None for all methods."""
    of_network: bool = False
    """Whether networks are built from it: those alone that `contract.methods.BUILT_FROM` names."""
    level_labels: Mapping[str, str] = field(default_factory=dict)
    """Text of a level in the label of a variant, where that is not its name and value; the name of
    the variant then holds the level alone."""
    effect: str = ""
    """What 0 switches off, by its name: what has it is compared with the same at 0, its control."""
    default: Value | None = None
    """Value where nobody gives one; for a parameter that is no field of the training."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            raise ValueError(f"kind of {self.name} must be one of {kinds}, got {self.kind!r}")
        for word in (self.name, *self.choices):
            if _WORD.fullmatch(word) is None:
                raise ValueError(
                    f"name and choices of a parameter must be of letters, digits, -, _ and single "
                    f"dots, got {word!r} of {self.name}"
                )
        if self.effect and not (self.is_number and self.holds(0)):
            raise ValueError(f"{self.name} must be a number that can be 0, since it has an effect")
        if self.is_factor and not self.levels:
            raise ValueError(f"{self.name} must have levels, since it is a factor")
        ends = () if self.low is None or self.high is None else (self.low, self.high)
        if bool(ends) == bool(self.levels):
            raise ValueError(f"{self.name} must have a default range or levels, one of them")
        for value in (*ends, *self.levels):
            if not self.holds(value):
                raise ValueError(f"{self.name} must be {self.rule}, got {value!r} as a default")
        if ends and not (self.is_number and (0 if self.log else -math.inf) < ends[0] < ends[1]):
            raise ValueError(f"range of {self.name} must be ascending, got {ends}")

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("float", "integer")

    @property
    def rule(self) -> str:
        """The values it can take, in words: `in [0, 1)`."""
        if self.kind == "yes/no":
            return "yes or no"
        if self.kind == "choice":
            return " or ".join(self.choices)
        noun = "a whole number " if self.kind == "integer" else ""
        if math.isinf(self.highest):
            return f"{noun}{'from' if self.with_lowest else 'above'} {self.lowest:g}"
        left, right = "[("[not self.with_lowest], "])"[not self.with_highest]
        return f"{noun}in {left}{self.lowest:g}, {self.highest:g}{right}"

    def serves(self, unannotated: str) -> bool:
        """Whether methods with this use of unannotated pixels have it."""
        return self.unannotated is None or unannotated in self.unannotated

    def holds(self, value: object) -> bool:
        """Whether a value obeys the rule."""
        if self.kind == "yes/no":
            return isinstance(value, bool)
        if self.kind == "choice":
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not math.isfinite(value) or (self.kind == "integer" and isinstance(value, float)):
            return False
        above = self.lowest <= value if self.with_lowest else self.lowest < value
        return above and (value <= self.highest if self.with_highest else value < self.highest)

    def read(self, text: str) -> Value:
        """The value that a text stands for.

        Raises:
            ValueError: If it stands for none, or for one that breaks the rule; one line without
                the name of the parameter's option.
        """
        value: Value = text
        if self.kind == "yes/no":
            value = {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
        elif self.is_number:
            try:
                value = float(text) + 0.0  # 0 for -0, which would be a level of its own
            except ValueError:
                raise ValueError(f"{self.name} must be a number, got {text!r}") from None
            if self.kind == "integer" and value.is_integer():
                value = int(value)
        if not self.holds(value):
            shown = repr(text) if isinstance(value, str) else f"{value:g}"
            raise ValueError(f"{self.name} must be {self.rule}, got {shown}")
        return value


def value_text(value: Value) -> str:
    """Shortest text that reads back as the same value: 1.0 -> `1`, True -> `yes`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


_RECONSTRUCTING: Final = ("reconstruction", "reconstruction-and-pseudo-labels")
_LABELLING: Final = ("pseudo-labels", "reconstruction-and-pseudo-labels")
"""Uses of unannotated pixels that reconstruct them, and that have a teacher label them."""

PARAMETERS: Final = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            name="w1",
            label="w\N{SUBSCRIPT ONE}",
            lowest=0,
            highest=1,
            with_highest=False,
            low=0.01,
            high=0.95,
            log=True,
            unannotated=_RECONSTRUCTING,
            effect="reconstruction",
        ),
        Parameter(
            name="lr",
            label="learning rate",
            lowest=0,
            highest=1,
            with_lowest=False,
            low=1e-4,
            high=1e-2,
            log=True,
        ),
        Parameter(
            name="weight_decay",
            label="weight decay",
            lowest=0,
            highest=1,
            with_highest=False,
            low=1e-5,
            high=1e-1,
            log=True,
        ),
        Parameter(
            name="batch_size",
            label="batch size",
            kind="integer",
            lowest=1,
            low=4,
            high=32,
            log=True,
            takes_time=True,
        ),
        Parameter(
            name="width",
            label="width",
            kind="integer",
            lowest=1,
            low=8,
            high=32,
            log=True,
            takes_time=True,
        ),
        Parameter(
            name="ema_decay",
            label="decay of the weight average",
            lowest=0,
            highest=1,
            with_highest=False,
            low=0.0,
            high=0.99,
        ),
        Parameter(
            name="augment",
            label="augmentation",
            kind="yes/no",
            levels=(False, True),
        ),
        Parameter(
            name="patch_px",
            label="patch side, px",
            kind="integer",
            lowest=32,
            levels=(64, 96, 128, 256),
            takes_time=True,
        ),
        Parameter(
            name="warmup_steps",
            label="warm-up steps",
            kind="integer",
            lowest=0,
            low=0,
            high=100,
        ),
        Parameter(
            name="label_frac",
            label="annotation fraction",
            lowest=0,
            highest=1,
            with_lowest=False,
            levels=(0.01, 0.1, 1.0),
            is_factor=True,
        ),
        Parameter(
            name="reconstruct_on",
            label="pixels that are reconstructed",
            kind="choice",
            choices=("all", "annotated"),
            levels=("all", "annotated"),
            is_factor=True,
            unannotated=_RECONSTRUCTING,
            level_labels={"all": "all pixels", "annotated": "annotated pixels"},
        ),
        Parameter(
            name="budget_order",
            label="what is annotated first",
            kind="choice",
            choices=("random", "diverse"),
            levels=("random", "diverse"),
            is_factor=True,
            level_labels={"random": "random units", "diverse": "diverse units"},
        ),
        Parameter(
            name="label_noise_px",
            label="shift of annotated borders, px",
            lowest=0,
            levels=(0.0, 2.0),
            is_factor=True,
        ),
        Parameter(
            name="seg_loss",
            label="loss of the segmentation",
            kind="choice",
            choices=("ce", "ce_dice", "focal"),
            levels=("ce", "ce_dice", "focal"),
        ),
        Parameter(
            name="class_weights",
            label="weights of the classes",
            kind="choice",
            choices=("none", "sqrt_inverse"),
            levels=("none", "sqrt_inverse"),
        ),
        Parameter(
            name="rec_loss",
            label="loss of the reconstruction",
            kind="choice",
            choices=("l1", "l2", "charbonnier", "l1_ssim", "gradient"),
            levels=("l1", "l2", "charbonnier", "l1_ssim", "gradient"),
            unannotated=_RECONSTRUCTING,
        ),
        Parameter(
            name="rec_target",
            label="what is reconstructed",
            kind="choice",
            choices=("image", "normalised"),
            levels=("image", "normalised"),
            unannotated=_RECONSTRUCTING,
        ),
        Parameter(
            name="rec_mask",
            label="hidden share of the input",
            lowest=0,
            highest=1,
            with_highest=False,
            levels=(0.0, 0.25, 0.5, 0.75),
            unannotated=_RECONSTRUCTING,
        ),
        Parameter(
            name="rec_patches",
            label="patches from anywhere per annotated one",
            kind="integer",
            lowest=1,
            levels=(1, 2, 4),
            takes_time=True,
            unannotated=_RECONSTRUCTING,
        ),
        Parameter(
            name="w1_schedule",
            label="course of w\N{SUBSCRIPT ONE}",
            kind="choice",
            choices=("constant", "ramp_up", "decay"),
            levels=("constant", "ramp_up", "decay"),
            unannotated=_RECONSTRUCTING,
        ),
        Parameter(
            name="branch_norm",
            label="batch statistics of the branches",
            kind="choice",
            choices=("shared", "separate"),
            levels=("shared", "separate"),
            unannotated=_RECONSTRUCTING,
            of_network=True,
        ),
        Parameter(
            name="rec_decoder",
            label="decoder of the reconstruction",
            kind="choice",
            choices=("shared", "own"),
            levels=("shared", "own"),
            unannotated=_RECONSTRUCTING,
            of_network=True,
        ),
        Parameter(
            name="encoder_weights",
            label="first weights of the encoder",
            kind="choice",
            choices=("pretrained", "random"),
            levels=("pretrained", "random"),
            of_network=True,
        ),
        Parameter(
            name="encoder_lr",
            label="learning rate of the encoder, as a share",
            lowest=0,
            with_lowest=False,
            low=0.01,
            high=1,
            log=True,
            of_network=True,
        ),
        Parameter(
            name="pseudo_threshold",
            label="least probability of a pseudo-label",
            lowest=0,
            highest=1,
            with_highest=False,
            low=0.5,
            high=0.99,
            unannotated=_LABELLING,
        ),
        Parameter(
            name="pseudo_weight",
            label="weight of the pseudo-labels",
            lowest=0,
            low=0.1,
            high=10,
            log=True,
            unannotated=_LABELLING,
            effect="pseudo-labels",
        ),
        Parameter(
            name="teacher_decay",
            label="decay of the teacher's weights",
            lowest=0,
            highest=1,
            with_highest=False,
            low=0.9,
            high=0.999,
            unannotated=_LABELLING,
        ),
    )
}

SEARCHED: Final = tuple(one.name for one in PARAMETERS.values() if not one.is_factor)
"""Parameters that can be tuned inside an arm, in the order of rows."""
