"""Whether training in bf16 changes the score of a trial.

`python benchmarks/bf16_scores.py [--preset demo] [--fraction 0.1] [--seeds 32] [--first-seed 0]`

Trials of U-REC and U-Net on the built-in scenes, trained as a study trains them, in fp32 and in
bf16 from the same seeds: the same budget, initial weights and patches. Printed are the mean F1 of
the last validation of each, the mean of the paired differences with its 95 % t interval, and the
standard deviation over seeds. bf16 is within seed noise where the whole interval lies within one
such standard deviation of zero. The scenes are written below `--output`, where a
study would put them, if they are not there.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from blob_trials import enter_trial_process, run_trial
from scipy import stats
from timing import (
    cpu_has_bf16,
    figures_table,
    markdown,
    surroundings,
    surroundings_line,
    write_json,
)

from study.design.arms import Arm, confirm_trial, plan_arms
from study.design.preflight import StudyData, find_dataset, read_data
from study.settings.config import StudyConfig, build_config
from study.settings.presets import PRESETS
from trainables.data.budgets.drawing import draw_budget
from trainables.training.loop import TrainingData

_PRECISIONS = ("fp32", "bf16")
_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Difference:
    """bf16 less fp32 of one model, over seeds."""

    mean: float
    low: float
    high: float
    """Ends of the interval of the mean."""
    sd_seeds: float
    """Standard deviation of fp32 over seeds."""

    @property
    def is_within_noise(self) -> bool:
        """Whether the whole interval lies within one standard deviation over seeds."""
        return -self.sd_seeds <= self.low and self.high <= self.sd_seeds


def main() -> None:
    """Train and print."""
    options = _parse()
    before = surroundings()
    print(surroundings_line(before), flush=True)
    if options.device == "cpu" and not cpu_has_bf16():
        print("the CPU has no bf16 and emulates it: scores count, times do not")
    config = build_config(
        {
            "preset": options.preset,
            "space": f"label_frac={options.fraction}",
            "output": options.output,
            "steps": options.steps,
        }
    )
    data = read_data(config, find_dataset(config))
    enter_trial_process(options.threads)
    scores: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    arms = plan_arms(config)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for seed in seeds:
        for arm in arms:
            for precision in _PRECISIONS:
                name = f"{arm.method.name} {precision}"
                score, train_s = _trial(config, data, arm, seed, precision, options.device)
                scores.setdefault(name, []).append(score)
                seconds.setdefault(name, []).append(train_s)
                print(f"  seed {seed}, {name}: {score:.4f}, trained {train_s:.1f} s", flush=True)
    differences = {
        arm.method.name: difference(*(scores[f"{arm.method.name} {one}"] for one in _PRECISIONS))
        for arm in arms
    }
    _print(options, scores, seconds, differences)
    found = {model: asdict(one) for model, one in differences.items()}
    more = {"unit": "mean F1 of the last validation", "train_s": seconds, "differences": found}
    write_json(options.json, before, scores, **more)


def _trial(
    config: StudyConfig, data: StudyData, arm: Arm, seed: int, precision: str, device: str
) -> tuple[float, float]:
    """Mean F1 of the last validation, and seconds of training."""
    names = tuple(one.name for one in data.spec.classes)
    _, annotated = draw_budget(
        data.tiles["train"],
        fraction=arm.label_frac,
        seed=seed,
        unit=config.unit,
        num_classes=len(names),
    )
    given = TrainingData(
        train=data.tiles["train"],
        annotated=annotated,
        val=data.tiles["val"],
        scaling=data.scaling,
        class_names=names,
        exclude_from_mean=data.spec.exclude_from_mean,
    )
    trial = confirm_trial(config, arm, seed, {"precision": precision})
    result = run_trial(trial, given, torch.device(device))
    if result.bf16 != (precision == "bf16"):
        raise RuntimeError(f"--device must have {precision}, got {device}")
    return result.history[-1]["val/mean_f1"], result.train_s


def difference(fp32: Sequence[float], bf16: Sequence[float]) -> Difference:
    """Mean of the paired differences with its t interval, beside the spread over seeds."""
    paired = [half - full for full, half in zip(fp32, bf16, strict=True)]
    mean, num = statistics.mean(paired), len(paired)
    quantile = float(stats.t.ppf((1 + _LEVEL) / 2, num - 1))
    margin = quantile * statistics.stdev(paired) / num**0.5
    return Difference(
        mean=mean, low=mean - margin, high=mean + margin, sd_seeds=statistics.stdev(fp32)
    )


def _print(
    options: argparse.Namespace,
    scores: dict[str, list[float]],
    seconds: dict[str, list[float]],
    differences: dict[str, Difference],
) -> None:
    last = options.first_seed + options.seeds - 1
    print(
        f"preset {options.preset}, label_frac {options.fraction}, "
        f"seeds {options.first_seed} to {last}"
    )
    seeds = range(options.first_seed, last + 1)
    header = ["mean F1 of the last validation", *(f"seed {seed}" for seed in seeds)]
    rows = [[name, *(f"{score:.4f}" for score in of)] for name, of in scores.items()]
    print("\n" + markdown(header, rows))
    rows = [
        [
            model,
            f"{one.mean:+.4f}",
            f"{one.low:+.4f} to {one.high:+.4f}",
            f"{one.sd_seeds:.4f}",
            "yes" if one.is_within_noise else "no",
        ]
        for model, one in differences.items()
    ]
    header = [
        "bf16 - fp32",
        "mean",
        "95 % t interval",
        "sd of fp32 over seeds",
        "within seed noise",
    ]
    print("\n" + markdown(header, rows))
    print("\n" + figures_table(seconds, "seconds of training"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="demo", choices=list(PRESETS))
    parser.add_argument("--fraction", type=float, default=0.1, help="label_frac of both models")
    parser.add_argument("--seeds", type=int, default=32, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="default: the preset's")
    parser.add_argument("--threads", type=int, help="default: torch's own number")
    parser.add_argument("--output", default="studies", help="folder of all studies")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds must be at least 2 for an interval, got {options.seeds}")
    return options


if __name__ == "__main__":
    main()
