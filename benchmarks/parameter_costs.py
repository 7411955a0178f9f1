"""What a training step costs at every level of what decides what is learned, beside the default.

`python benchmarks/parameter_costs.py [--width 8] [--patch-px 64] [--batch 8] [--steps 4]`

Every method with every default, and U-REC with one parameter changed at a time take some steps in
turns, in one process and thread. Printed are milliseconds of CPU time of a step, drawing included,
and the ratio to U-REC's default within every round: other work on the machine slows both alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from blob_trials import enter_trial_process, training_data, trial_config
from timing import (
    Figures,
    Ratio,
    add_common_options,
    markdown,
    measure_in_turns,
    spread,
    surroundings,
    surroundings_line,
    write_json,
)

from contract.methods import METHODS
from contract.parameters import PARAMETERS, value_text
from trainables.settings.config import TrainingConfig, training_fields
from trainables.settings.process_group import ALONE
from trainables.training.loop import TrainingData, _new_state, build_sampler
from trainables.training.step import Step, Terms

_DEFAULT = "U-REC, all defaults"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--patch-px", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="in a round")
    add_common_options(parser, rounds=7)
    options = parser.parse_args()
    before = surroundings()
    print(surroundings_line(before), flush=True)
    enter_trial_process(1)
    data = training_data(2, 512)
    sizes = {
        "width": options.width,
        "patch_px": options.patch_px,
        "stride_px": min(64, options.patch_px),
        "batch_size": options.batch,
        "reconstruct_on": "all",
    }
    candidates = {
        _DEFAULT: partial(_step_ms, _stepper(data, sizes), options.steps),
    }
    for name, method in METHODS.items():
        if name != "urec":
            stepper = _stepper(data, sizes | {"model": name})
            candidates[method.label] = partial(_step_ms, stepper, options.steps)
    for name, level in other_levels():
        stepper = _stepper(data, sizes | {name: level})
        candidates[f"{name}={value_text(level)}"] = partial(_step_ms, stepper, options.steps)
    figures = measure_in_turns(candidates, rounds=options.rounds)
    print(
        f"\nwidth {options.width}, {options.batch} patches of {options.patch_px} px, "
        f"{options.rounds} rounds of {options.steps} steps\n\n{_table(figures)}"
    )
    write_json(options.json, before, figures, unit="ms of CPU time of a step", setting=sizes)


def other_levels() -> list[tuple[str, Any]]:
    """(parameter, level) of what decides what is learned, but the published ones."""
    published = TrainingConfig()
    return [
        (one.name, level)
        for one in PARAMETERS.values()
        if one.name in training_fields()
        and METHODS["urec"].has(one)
        and (one.kind == "choice" or one.name.startswith("rec_"))
        for level in one.levels
        if level != getattr(published, one.name)
    ]


def _stepper(data: TrainingData, fields: dict[str, Any]) -> Callable[[], dict[str, torch.Tensor]]:
    """Takes one step of a trial after the other."""
    config = trial_config(**fields)
    device = torch.device("cpu")
    state = _new_state(config, data, device, ALONE)
    sampler = build_sampler(config, data, device, ALONE)
    step = Step(state, config, device, ALONE)

    def take() -> dict[str, torch.Tensor]:
        terms = step.take(sampler.draw(state.step))
        state.step += 1
        return terms

    return take


def _step_ms(take: Callable[[], dict[str, torch.Tensor]], num_steps: int) -> float:
    start = time.process_time()
    terms = Terms(ALONE)
    for _ in range(num_steps):
        terms.add(take())
    terms.mean(num_steps)
    return 1e3 * (time.process_time() - start) / num_steps


def _table(figures: Figures) -> str:
    rows = []
    for name, values in figures.items():
        ratios = Ratio(over=name, under=_DEFAULT).of_rounds(figures)
        rows.append(
            [
                name,
                *(f"{value:.0f}" for value in spread(values)),
                *(f"{value:.2f}" for value in spread(ratios)),
            ]
        )
    header = [
        "CPU time of a step",
        "min, ms",
        "median",
        "max",
        "beside U-REC: min",
        "median",
        "max",
    ]
    return markdown(header, rows)


if __name__ == "__main__":
    main()
