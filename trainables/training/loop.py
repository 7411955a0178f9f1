"""The training loop: torch alone, neither Ray nor MLflow.

Its complete state is one file; a run that was interrupted goes on from it to the result of an
undisturbed one (bitwise on CPU), since patches and augmentation follow from seed and step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from contract.measures import summarise
from trainables.data.budgets.label_noise import shift_labels
from trainables.data.budgets.pixel_set import PixelSet, count_classes
from trainables.data.patches.positions import GridPositions, Positions, RandomPositions
from trainables.data.patches.sampler import PatchSampler
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import DataError
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.methods import METHODS
from trainables.methods.segmentation import class_weights
from trainables.networks.build import build_network
from trainables.networks.network import Network, PretrainedEncoder
from trainables.settings.config import TrialConfig, network_parameters
from trainables.settings.process_group import ALONE, ProcessGroup
from trainables.settings.seeds import torch_generator
from trainables.training.checkpoint import LoopState, Row
from trainables.training.gradient_shares import probed_steps
from trainables.training.optimizer import UncompiledAdam
from trainables.training.schedule import has_converged, learning_rate
from trainables.training.step import Step, Terms
from trainables.training.stopwatch import OFF, Stopwatch
from trainables.training.teacher import new_teacher
from trainables.training.trace import NO_TRACE, Tracer, validation_batches

_ROWS_PER_RUN = 40
_VALIDATION_MEASURES = ("oa", "kappa", "mean_f1", "miou", "mean_f1_all", "miou_all")


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a trial learns from and is selected by; test tiles are no part of it."""

    train: TileSet
    annotated: PixelSet
    """Pixels of the training tiles that the budget holds."""
    class_px: tuple[int, ...] = ()
    """Pixels of each class among them (K,); needed where classes are weighted."""
    val: TileSet
    scaling: BandScaling
    """How the values of tiles become those that the network sees."""
    class_names: tuple[str, ...]
    exclude_from_mean: tuple[str, ...]
    val_annotated: PixelSet | None = None
    """Pixels of the validation tiles that count; None for all whose class is known."""
    encoder: PretrainedEncoder | None = None
    """What the network's encoder is, for a method with a pretrained one."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A trained network and how it came to be."""

    model: Network
    """The network with the weights of its best validation, in evaluation mode."""
    best_score: float
    best_step: int
    converged: bool
    """Whether validation was flat at the end; see `has_converged`."""
    history: list[Row]
    train_s: float
    eval_s: float
    seconds: Mapping[str, float]
    """Seconds of each part over all attempts, if measured; a stopwatch that is on goes on."""
    bf16: bool
    """Whether it was trained in bf16: asked for, and the device has it."""
    damaged: tuple[str, ...]
    """Saved states that could not be used, in words."""


def train(
    config: TrialConfig,
    data: TrainingData,
    *,
    device: torch.device,
    checkpoint: Path,
    report: Callable[[int, Sequence[Row]], None],
    checkpoint_every_s: float = 0.0,
    group: ProcessGroup = ALONE,
    watch: Stopwatch = OFF,
    tracer: Tracer = NO_TRACE,
) -> TrainResult:
    """Train one network, from its checkpoint if there is one.

    Several workers train one network together: all call this, with the same arguments. Batches,
    learning rate and stream of patches are those of one.

    Args:
        config: The trial.
        data: Training and validation tiles with the annotation budget applied.
        device: Where to train.
        checkpoint: File of the complete state, rewritten after a validation.
        report: Called after every validation with the step and the rows since the last call; a
            continued run starts with the rows before its step.
        checkpoint_every_s: Seconds that the work at risk must have taken before it is saved; a
            checkpoint of a short trial costs more than training again would.
        group: The workers; the first saves and reports.
        watch: Measures the parts.
        tracer: Traces some steps; ended by the caller where this raises.

    Returns:
        The network at its best validation.

    Raises:
        FloatingPointError: If the loss is not finite.
        DataError: If the validation tiles do not define the measure that selects.
    """
    training = config.training
    state = _new_state(config, data, device, group)
    state.restore(checkpoint, device, group)
    state.seconds = watch.go_on_from(state.seconds)
    sampler = build_sampler(config, data, device, group)
    step = Step(state, config, device, group)
    validations = frozenset(training.validation_steps())
    probed = probed_steps(training.validation_steps())
    row_every = max(1, training.steps // _ROWS_PER_RUN)
    num_reported, terms, since_row = 0, Terms(group), state.step
    next_validation = min((one for one in validations if one > state.step), default=state.step)
    tracer.begin(next_validation - state.step, validation_batches(data.val.shapes, training))
    watch.started()
    start = saved = time.perf_counter()
    while state.step < training.steps:
        with watch.part("data"):
            batch = sampler.draw(state.step)
        with watch.part("forward_backward"):
            terms.add(step.take(batch))
        state.step += 1
        at_validation = state.step in validations
        if at_validation or state.step - since_row >= row_every:
            state.history.append({"step": state.step, **terms.mean(state.step)})
            state.history[-1]["train/lr"] = learning_rate(training, state.step - 1)
            terms, since_row = Terms(group), state.step
        if not at_validation:
            tracer.step()
            continue
        state.train_s += time.perf_counter() - start
        tracer.before_validation()
        with watch.part("validation"):
            _validate(state, config, data, device, group)
            if state.step in probed:
                _probe(state, step, sampler)
        tracer.after_validation()
        if group.is_first:
            if time.perf_counter() - saved >= checkpoint_every_s:
                with watch.part("checkpoint"):
                    state.save(checkpoint)
                saved = time.perf_counter()
            report(state.step, state.history[num_reported:])
        num_reported = len(state.history)
        start = time.perf_counter()
    if group.is_first and num_reported < len(state.history):
        report(state.step, state.history[num_reported:])  # interrupted between last step and here
    state.evaluated.load_state_dict(state.best_weights)
    score = f"val/{training.select_by}"
    return TrainResult(
        model=state.evaluated.eval(),
        best_score=state.best_score,
        best_step=state.best_step,
        converged=has_converged(
            [row[score] for row in state.history if score in row], training.plateau_tolerance
        ),
        history=state.history,
        train_s=state.train_s,
        eval_s=state.eval_s,
        seconds=state.seconds,
        bf16=step.bf16,
        damaged=tuple(state.damaged),
    )


def _new_state(
    config: TrialConfig, data: TrainingData, device: torch.device, group: ProcessGroup
) -> LoopState:
    training = config.training
    model = new_network(config, data)
    model = group.synchronise_norms(model, device)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = None
    if training.ema_decay > 0:
        average = _average(training.ema_decay)
        averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    optimizer = UncompiledAdam(
        model.parameter_groups(),
        lr=training.lr,
        weight_decay=training.weight_decay,
        decoupled_weight_decay=True,
        fused=True,
    )
    return LoopState(
        model=model,
        optimizer=optimizer,
        averaged=averaged,
        teacher=teacher_of(config, model),
    )


def new_network(config: TrialConfig, data: TrainingData) -> Network:
    """The network that a trial begins with, on the CPU; its weights follow from the seed."""
    return build_network(
        config.network,
        num_channels=data.train.images.shape[0],
        num_classes=len(data.class_names),
        width=config.training.width,
        parameters=network_parameters(config.network, config.training),
        encoder=data.encoder,
        generator=torch_generator(config.seed, "weights"),
    )


def teacher_of(config: TrialConfig, student: Network) -> Network | None:
    """The teacher that a trial begins with; None for a method without one."""
    has_views = METHODS[config.unannotated].num_views(config.training) > 0
    return new_teacher(student) if has_views else None


def _average(decay: float) -> Callable[..., None]:
    """What moves averages towards current values: whole numbers, as indices are, are copied."""
    moved = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def average(averages: list[Tensor], current: list[Tensor], num: Tensor | int) -> None:
        if averages[0].is_floating_point() or averages[0].is_complex():
            moved(averages, current, num)
        else:
            torch._foreach_copy_(averages, current)

    return average


def build_sampler(
    config: TrialConfig, data: TrainingData, device: torch.device, group: ProcessGroup
) -> PatchSampler:
    """What draws the batches of a trial, each worker's share of them."""
    training = config.training
    annotated, class_px = data.annotated, data.class_px
    if training.label_noise_px > 0:
        num_classes = len(data.class_names)
        annotated = shift_labels(
            data.train,
            annotated,
            std_px=training.label_noise_px,
            seed=config.seed,
            num_classes=num_classes,
        )
        class_px = tuple(count_classes(data.train, annotated, num_classes).tolist())
    where: dict[str, Any] = {"patch_px": training.patch_px, "seed": config.seed}
    positions: Positions
    if training.sampling == "grid":
        where["stride_px"] = training.stride_px
        positions = GridPositions(data.train, annotated, **where)
    else:
        positions = RandomPositions(data.train, annotated, **where)
    return PatchSampler(
        data.train,
        annotated,
        positions,
        scaling=data.scaling,
        patch_px=training.patch_px,
        num_annotated=training.batch_size,
        num_anywhere=METHODS[config.unannotated].num_anywhere(training),
        num_views=METHODS[config.unannotated].num_views(training),
        augment=training.augment,
        seed=config.seed,
        device=device,
        group=group,
        hidden_share=training.rec_mask,
        class_weights=class_weights(training.class_weights, class_px),
    )


def _validate(
    state: LoopState,
    config: TrialConfig,
    data: TrainingData,
    device: torch.device,
    group: ProcessGroup,
) -> None:
    """Score the validation tiles and keep the weights where they are the best so far."""
    start = time.perf_counter()
    training = config.training
    group.copy_first(state.evaluated.buffers())  # running statistics are not averaged
    num_classes = len(data.class_names)
    matrices = evaluate_tiles(
        state.evaluated,
        data.val,
        training,
        num_classes,
        data.scaling,
        device,
        group=group,
        annotated=data.val_annotated,
    )
    confusion = torch.stack([tile["full"] for tile in matrices]).sum(dim=0).numpy()
    scores = summarise(confusion, data.class_names, data.exclude_from_mean)
    state.history[-1].update({f"val/{name}": scores[name] for name in _VALIDATION_MEASURES})
    score = scores[training.select_by]
    if math.isnan(score):
        raise DataError(
            f"val/{training.select_by} must be a number, got NaN at step {state.step}; validation "
            "tiles must hold annotated pixels of a class that is not excluded from the mean"
        )
    if score > state.best_score:
        weights = state.evaluated.state_dict()
        state.best_score, state.best_step = score, state.step
        state.best_weights = {name: value.detach().clone() for name, value in weights.items()}
    state.eval_s += time.perf_counter() - start


def _probe(state: LoopState, step: Step, sampler: PatchSampler) -> None:
    """Measure the shares in the gradient, on the batch that the next step would learn from."""
    start = time.perf_counter()
    state.history[-1].update(step.gradient_shares(sampler.draw(state.step)))
    state.eval_s += time.perf_counter() - start
