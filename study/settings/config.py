"""The configuration of a study, frozen and checked when built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, get_args

from contract.methods import COMPARED_BY_DEFAULT, Method
from contract.mlflow_store.logins import TrackingUri
from contract.names import TRIALS
from contract.parameters import PARAMETERS, Parameter, Value
from contract.space import Varied, parse_compare, parse_space, split_space
from contract.variants import Variant, make_variants
from study.settings.checks import (
    check_choice,
    check_cluster,
    check_cost,
    check_lists,
    check_name,
    check_numbers,
    check_types,
    check_workers,
    parse_seeds,
    parse_val_frac,
    parse_workers,
)
from study.settings.combinations import check_batches, check_grid, check_variant_names
from study.settings.equal import EQUAL, ComputeBudget
from study.settings.presets import PRESETS
from study.settings.variation import (
    check_own_values,
    check_varied,
    combine_extremes,
    find_methods,
    find_parameters,
    read_varied,
    value_of,
)
from trainables.data.budgets.units import Kind, Unit
from trainables.errors import ConfigError
from trainables.settings.config import TrainingConfig, training_fields

SAMPLERS: Final = ("tpe", "random", "qmc", "gp", "grid")
PRUNERS: Final = ("none", "asha")

_POINT_RADIUS_PX: Final = 3

_ANSWER_CHANGING: Final = (
    "space",
    "compare",
    "models",
    "trials",
    "search_seeds",
    "sampler",
    "pruner",
    "seed",
    "budget_unit",
    "budget_px",
    "budget_stratified",
    "budget_lists",
    "cost",
    "val_frac",
    "equal",
)
"""Fields, besides those of training, that a continued study must not change; seeds may grow."""
_ADDED: Final[Mapping[str, Any]] = {
    "compare": "",
    "budget_lists": None,
    "cost": None,
    "val_frac": "all",
    "search_seeds": 1,
    "equal": "steps",
    "weight_decay": 0.0,
    "method_parameters": {},
    "budget_order": "random",
    "label_noise_px": 0.0,
    "seg_loss": "ce",
    "class_weights": "none",
    "rec_loss": "l1",
    "rec_target": "image",
    "rec_mask": 0.0,
    "rec_patches": 1,
    "w1_schedule": "constant",
    "branch_norm": "shared",
    "rec_decoder": "shared",
    "encoder_weights": "pretrained",
    "encoder_lr": 0.1,
    "pseudo_threshold": 0.95,
    "pseudo_weight": 1.0,
    "teacher_decay": 0.99,
}
"""Fields that a study of an earlier version does not name, and what it has for them."""
_LABEL_FRAC: Final = PARAMETERS["label_frac"]
_BUDGET_ORDER: Final = PARAMETERS["budget_order"]


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Everything a study is told."""

    space: str = "w1,label_frac"
    """What varies; see `contract.space`."""
    compare: str = ""
    """What else is compared than methods: parameters whose levels are variants."""
    data: str | None = None
    """Folder or YAML file of a data set; None for the built-in scenes."""
    models: tuple[str, ...] = COMPARED_BY_DEFAULT
    """Names of methods (`contract.methods`), with `:ENCODER` or without, or
    `package.module:factory`."""
    preset: str = "demo"
    """Scale of training, from which every field of `training` not given otherwise comes."""
    trials: int
    """Search trials per arm."""
    seeds: int
    """Confirmation repeats per arm."""
    search_seeds: int = 1
    """Seeds with which every suggestion of a search is trained; its value is their mean."""
    looks: tuple[int, ...] = ()
    """Repeats per arm at which findings are read, the last of them `seeds`, where several such
    looks are planned; given as `seeds`."""
    look: int | None = None
    """Repeats per arm at which this run of the command ends; None for `seeds`."""
    sampler: str = "tpe"
    pruner: str = "none"
    retries: int = 2
    """How often a trial that failed goes on from its checkpoint before it counts as failed."""
    checkpoint_every_s: float = 20.0
    """Work of a trial that may be lost, in seconds; a checkpoint of a short trial costs more."""
    workers: int | str = 0
    """Workers per trial: a number, or a range `2..8`; 0 = in the trial's own process."""
    gpus: float | None = None
    """GPUs per worker, fractions share a card; None for one where the machine has any."""
    cpus: float = 1.0
    """CPUs per worker."""
    concurrent: int | None = None
    """Trials at once at most; None for as many as the resources allow."""
    address: str | None = None
    """Ray cluster to join, `auto` or host and port; None for Ray on this machine."""
    storage: str | None = None
    """Shared folder or URI where trials keep their state; None for the study's own folder."""
    tracking_uri: str | None = None
    """MLflow server or database; None for MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`. It
    becomes a `TrackingUri`, whose text holds no login."""
    name: str
    output: str = "studies"
    """Folder of all studies; this one writes to `<output>/<name>`."""
    seed: int = 0
    """First seed of the search trials; confirmation takes the numbers after it."""
    budget_unit: Kind = "block"
    """What is annotated at a time: `block`, `tile`, `area` or `point`."""
    budget_px: int | None = None
    """Side of a block or of the square that has a region's area (None: `patch_px`), or radius of a
    point's disc (None: 3), in pixels."""
    budget_stratified: bool = False
    """Whether every class comes early in a budget, and then in proportion."""
    budget_lists: str | Mapping[float, str] | None = None
    """Published lists of the annotated training tiles, where budgets are not drawn: a CSV file with
    the columns tile, fraction and perhaps seed, or for each fraction a file with a name a line."""
    cost: Mapping[str, float] | None = None
    """Minutes of annotation `per_px`, `per_object`, `per_border_m` and `per_tile`, of which those
    left out cost nothing; None where nothing is said in minutes."""
    val_frac: str | float = "all"
    """Labels of the validation tiles that choose weights and settings: `all`, a fraction in
    (0, 1], or `same` as the arm's fraction of the training tiles."""
    equal: str = "steps"
    """What every trial takes as much of: `steps`, or `compute`, where cheaper trials get more
    steps than the costliest, which keeps those of `training`."""
    tile_memory_mib: float | None = None
    """Memory for decoded tiles; more is read by window from disk. None: a fifth of all."""
    profile: bool = False
    """Whether a trace of one trial is written, and where the time goes is measured."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    compute: ComputeBudget | None = None
    """What a trial spends where compute is equal, once the data are known."""

    def __post_init__(self) -> None:
        """Check every field; raise `ConfigError` on the first that breaks its rule."""
        if self.tracking_uri is not None:
            object.__setattr__(self, "tracking_uri", TrackingUri(self.tracking_uri))
        object.__setattr__(self, "val_frac", parse_val_frac(self.val_frac))
        check_name(self.name)
        check_choice("--preset", self.preset, tuple(PRESETS))
        check_choice("--sampler", self.sampler, SAMPLERS)
        check_choice("--pruner", self.pruner, PRUNERS)
        check_choice("--equal", self.equal, EQUAL)
        if not 0 < len({method.name for method in self.methods}) == len(self.models):
            raise ConfigError(
                f"--models must name different models, got {','.join(self.models)!r}; "
                "two factories, or encoders, of one name need rows (docs/networks.md)"
            )
        if self.looks and parse_seeds(self.looks)[-1] != self.seeds:
            raise ConfigError(f"--seeds must end with {self.seeds}, got {self.looks}")
        check_numbers(vars(self))
        if self.budget_unit == "tile" and self.budget_px is not None:
            raise ConfigError(
                f"budget_px must be left out for --budget-unit tile, got {self.budget_px!r}"
            )
        check_cost(self.cost)
        check_lists(self.budget_lists, self.budget_unit, self.budget_stratified, self.budget_orders)
        for order in self.budget_orders:
            self.unit_in(order)  # checks itself
        check_workers(self.worker_range, self.gpus)
        check_cluster(self.address, self.storage)
        check_varied(self.varied, self.compared, self.methods)
        check_own_values(self.training.method_parameters, self.methods, self.parameters)
        check_variant_names(self.variants)
        check_batches(self.training, self.trainings(), self.worker_range[1])
        check_grid(self.sampler, self.searched)

    @property
    def unit(self) -> Unit:
        """What is annotated at a time."""
        check_choice("--budget-unit", self.budget_unit, get_args(Kind))
        side_px = self.training.patch_px
        default = {"block": side_px, "tile": 0, "area": side_px, "point": _POINT_RADIUS_PX}
        size_px = default[self.budget_unit] if self.budget_px is None else self.budget_px
        return Unit(kind=self.budget_unit, size_px=size_px, stratified=self.budget_stratified)

    def unit_in(self, order: str) -> Unit:
        """What is annotated at a time, in an order of `budget_orders`."""
        return replace(self.unit, order=order)  # type: ignore[arg-type]  # it checks itself

    @property
    def budget_orders(self) -> tuple[str, ...]:
        """Orders in which units of the training tiles are annotated, each with its own budgets."""
        some = (*self.varied, *self.compared)
        levels = [one.levels or () for one in some if one.parameter == _BUDGET_ORDER]
        return tuple(map(str, levels[0])) if levels else (self.training.budget_order,)

    @property
    def planned_looks(self) -> tuple[int, ...]:
        """Repeats per arm at which findings are read, the last at the end."""
        return self.looks or (self.seeds,)

    @property
    def seeds_now(self) -> int:
        """Repeats per arm that this run of the command is to reach."""
        return self.seeds if self.look is None else min(self.look, self.seeds)

    def val_fraction(self, label_frac: float) -> float | None:
        """Fraction of the validation tiles that an arm is chosen by; None for all their labels."""
        if self.val_frac == "all":
            return None
        return label_frac if self.val_frac == "same" else float(self.val_frac)

    @cached_property
    def worker_range(self) -> tuple[int, int]:
        """Lowest and highest number of workers of a trial; 0 and 0 for its own process."""
        return parse_workers(self.workers)

    @property
    def methods(self) -> tuple[Method, ...]:
        """What is compared, in the order of `models`."""
        return find_methods(tuple(self.models))

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """What can vary by name, the methods' own parameters included."""
        return find_parameters(self.methods)

    @cached_property
    def varied(self) -> tuple[Varied, ...]:
        """`space`, read."""
        return read_varied(parse_space, self.space, self.parameters)

    @cached_property
    def compared(self) -> tuple[Varied, ...]:
        """`compare`, read."""
        return read_varied(parse_compare, self.compare, self.parameters)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Annotation fractions of the arms, ascending."""
        levels = [one.levels or () for one in self.varied if one.parameter == _LABEL_FRAC]
        return tuple(map(float, levels[0])) if levels else (1.0,)

    @property
    def searched(self) -> tuple[Varied, ...]:
        """What is tuned inside the arms whose method has it."""
        return tuple(one for one in self.varied if not one.parameter.is_factor)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Every method at every level of what is compared, in the order of rows and legends."""
        factors = [one for one in self.varied if one.parameter.is_factor]
        compared = [one for one in (*factors, *self.compared) if one.parameter != _LABEL_FRAC]
        usual = {one.name: value_of(self.training, one.parameter) for one in compared}
        return make_variants(self.methods, compared, usual)

    @property
    def folder(self) -> Path:
        """Where the study writes."""
        return Path(self.output) / self.name

    @property
    def trials_folder(self) -> Path:
        """Folder of the trials' folders, absolute."""
        return (self.folder / TRIALS).resolve()

    def to_plain(self) -> dict[str, Any]:
        """Flat dictionary that `--config` reads back: options and training fields together.

        The tracking URI is the one without its login, which a person gives again. How far one run
        of the command goes is no part of the study.
        """
        plain = {name: getattr(self, name) for name in option_fields() if name != "look"}
        plain["seeds"] = list(self.looks) if self.looks else self.seeds
        plain["space"] = ",".join(one.text for one in self.varied)
        plain["compare"] = ",".join(one.text for one in self.compared)
        plain["models"] = list(self.models)
        if self.tracking_uri is not None:
            plain["tracking_uri"] = str(self.tracking_uri)
        return plain | asdict(self.training)

    def changes(self, earlier: Mapping[str, Any]) -> list[str]:
        """What a study under the same name may not change and this one does.

        Args:
            earlier: `to_plain` of the configuration the study was begun with.

        Returns:
            One text per changed field, `field: before -> now`.
        """
        now, before = self.to_plain(), {**_ADDED, **earlier}
        # Earlier versions took what no method of the study has, and left it unused.
        before["space"] = ",".join(
            part
            for part in str(before.get("space", "")).split(",")
            if any(
                method.has(self.parameters[name])
                for method in self.methods
                if (name := part.partition("=")[0]) in self.parameters
            )
        )
        return [
            f"{name}: {before.get(name)} -> {now[name]}"
            for name in (*_ANSWER_CHANGING, *training_fields())
            if before.get(name) != now[name]
        ]

    def trainings(self) -> tuple[TrainingConfig, ...]:
        """Settings of training at every combination of the ends of what varies.

        Raises:
            ConfigError: If one breaks a rule.
        """
        return combine_extremes(self.training, {"--space": self.varied, "--compare": self.compared})

    def own_values(self, method: Method) -> dict[str, Value]:
        """Values of the parameters of a method that are no field of `TrainingConfig`."""
        given = self.training.method_parameters
        return {
            one.name: given.get(one.name, one.default)
            for one in self.parameters.values()
            if one.default is not None and method.has(one)
        }


def option_fields() -> tuple[str, ...]:
    """Names of the fields of `StudyConfig` that a person gives, apart from those of training."""
    derived = ("training", "looks", "compute")
    return tuple(one.name for one in fields(StudyConfig) if one.name not in derived)


def build_config(given: Mapping[str, Any]) -> StudyConfig:
    """Complete what a person gave with the preset's values.

    Args:
        given: Options and training fields by name; None counts as not given.

    Raises:
        ConfigError: For an unknown name or a value that breaks its rule.
    """
    known = (*option_fields(), *training_fields())
    unknown = [name for name in given if name not in known]
    if unknown:
        got = ", ".join(map(str, unknown))
        raise ConfigError(f"configuration must use the keys {', '.join(known)}, got {got}")
    chosen = {name: value for name, value in given.items() if value is not None}
    check_types(chosen)
    preset_name = chosen.get("preset", "demo")
    check_choice("--preset", preset_name, tuple(PRESETS))
    preset = PRESETS[preset_name]
    overrides = {name: chosen.pop(name) for name in training_fields() if name in chosen}
    if "steps" in overrides and "epochs" not in overrides:
        overrides["epochs"] = None
    chosen.setdefault("trials", preset.trials)
    seeds = parse_seeds(chosen.get("seeds", preset.seeds))
    chosen |= {"seeds": seeds[-1], "looks": seeds if len(seeds) > 1 else ()}
    chosen.setdefault("name", _default_name(preset_name, chosen.get("data")))
    if "models" in chosen:
        chosen["models"] = tuple(map(str, chosen["models"]))
    methods = find_methods(chosen.get("models", StudyConfig.models))
    compared = {one.name for one in split_space(chosen.get("compare", ""))}
    default = [
        name
        for name in StudyConfig.space.split(",")
        if name not in compared and any(method.has(PARAMETERS[name]) for method in methods)
    ]
    chosen.setdefault("space", ",".join(default))
    return StudyConfig(**chosen, training=replace(preset.training, **overrides))


def _default_name(preset: str, data: str | None) -> str:
    """`demo`, or `demo-dubai` for the data in a folder or file of that name."""
    if data is None:
        return preset
    words = re.sub(r"[^A-Za-z0-9]+", "-", Path(data).resolve().stem).strip("-")
    return f"{preset}-{words}" if words else preset
