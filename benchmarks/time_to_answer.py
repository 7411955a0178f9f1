"""How soon a recipe of training reaches its plateau, on validation tiles alone.

`python benchmarks/time_to_answer.py --data FOLDER ... --recipes NAME[:FIELD=VALUE,...] ...`

A recipe is a preset and fields of `TrainingConfig` that differ from it, such as
`short:steps=1000,lr=0.01`. Every recipe is trained on every data set by both models over the same
seeds: the same budget and initial weights. Test tiles are never scored. Printed are, for each
recipe, minutes of one core for a trial and the best validation mean F1, and beside the last recipe
named, which is to be the longest, the mean of the paired differences with its 95 % t interval.
Each finished trial is a line of `--log`; trials that stand there are not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from blob_trials import enter_trial_process, run_trial
from scipy import stats
from timing import markdown, surroundings, surroundings_line

from contract.methods import METHODS
from study.design.arms import confirm_trial, plan_arms
from study.design.preflight import StudyData, find_dataset, read_data
from study.settings.config import StudyConfig, build_config
from study.settings.presets import PRESETS
from trainables.data.budgets.drawing import draw_budget
from trainables.training.loop import TrainingData

_SCENES: Final = "scenes"
"""Stands for the built-in scenes among data sets."""
_SCORE: Final = "val/mean_f1"
_SHOWN: Final = 0.25
"""How far below the best score a chart goes."""
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained."""

    name: str
    fields: Mapping[str, Any]
    """All of `TrainingConfig`: presets change, and a log outlives them."""

    @classmethod
    def parse(cls, text: str, preset: str) -> Recipe:
        """Read `NAME` or `NAME:FIELD=VALUE,...`, what differs from the preset."""
        name, _, differing = text.partition(":")
        pairs = [one.split("=", 1) for one in differing.split(",") if one]
        given = {key: _value(value) for key, value in pairs}
        fields = asdict(replace(PRESETS[preset].training, **given))
        del fields["method_parameters"]  # those of methods of a person's own
        return cls(name=name, fields=fields)


def _value(text: str) -> Any:
    """A whole number, a number, yes or no, or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"yes": True, "no": False}.get(text, text)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial of one recipe."""

    data: str
    model: str
    recipe: Recipe
    seed: int
    label_frac: float
    preset: str
    output: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What a line of the log is found by."""
        fields = json.dumps(self.recipe.fields, sort_keys=True)
        return self.data, self.model, fields, self.seed, self.label_frac, self.preset


@dataclass(frozen=True, kw_only=True)
class Course:
    """What one trial was and how it went."""

    task: Task
    train_s: float
    """Wall seconds of training, other work of the machine in them; likewise `eval_s`."""
    eval_s: float
    cpu_s: float
    """CPU seconds of the trial, data read."""
    converged: bool
    steps: Sequence[int]
    """After which it was validated."""
    scores: Sequence[float]
    """Validation mean F1 then."""

    @property
    def best(self) -> float:
        """Score that selects."""
        return max(self.scores)


def main() -> None:
    """Train and print."""
    options = _parse()
    print(surroundings_line(surroundings()), flush=True)
    recipes = [Recipe.parse(one, options.preset) for one in options.recipes]
    tasks = [
        Task(
            data=data,
            model=model,
            recipe=recipe,
            seed=seed,
            label_frac=options.fraction,
            preset=options.preset,
            output=options.output,
        )
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for data in options.data
        for recipe in recipes
        for model in options.models
    ]
    courses = _finished(options.log)
    if options.finished:
        tasks = [task for task in tasks if task.key in courses]
    waiting = [task for task in tasks if task.key not in courses]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, spawn, enter_trial_process, (1,)) as pool:
        for done in as_completed([pool.submit(run_task, task) for task in waiting]):
            course = done.result()
            courses[course.task.key] = course
            with options.log.open("a") as file:
                file.write(json.dumps(asdict(course)) + "\n")
            task = course.task
            print(
                f"{_short(task.data)}, {task.model}, {task.recipe.name}, seed {task.seed}: "
                f"{course.best:.4f} in {course.cpu_s / 60:.1f} min",
                flush=True,
            )
    # Of a trial that stands in the log, the recipe may have had another name.
    found = [replace(courses[task.key], task=task) for task in tasks]
    print(table(found, recipes))
    if options.plot is not None:
        plot(options.plot, found, recipes)


def run_task(task: Task) -> Course:
    """Train one trial and follow its validation."""
    config = build_config(
        {
            "preset": task.preset,
            "space": f"label_frac={task.label_frac}",
            "output": task.output,
            "models": (task.model,),
            "data": None if task.data == _SCENES else task.data,
        }
    )
    data = read_data(config, find_dataset(config))
    (arm,) = plan_arms(config)
    trial = confirm_trial(config, arm, task.seed, task.recipe.fields)
    given = _training_data(config, data, task)
    start = time.process_time()
    result = run_trial(trial, given)
    rows = [row for row in result.history if _SCORE in row]
    return Course(
        task=task,
        train_s=result.train_s,
        eval_s=result.eval_s,
        cpu_s=time.process_time() - start,
        converged=result.converged,
        steps=[int(row["step"]) for row in rows],
        scores=[row[_SCORE] for row in rows],
    )


def _training_data(config: StudyConfig, data: StudyData, task: Task) -> TrainingData:
    """Training and validation tiles with the budget of the task's seed."""
    names = tuple(one.name for one in data.spec.classes)
    budget, annotated = draw_budget(
        data.tiles["train"],
        fraction=task.label_frac,
        seed=task.seed,
        unit=config.unit,
        num_classes=len(names),
    )
    return TrainingData(
        train=data.tiles["train"],
        annotated=annotated,
        class_px=budget.class_px,
        val=data.tiles["val"],
        scaling=data.scaling,
        class_names=names,
        exclude_from_mean=data.spec.exclude_from_mean,
    )


def table(courses: Sequence[Course], recipes: Sequence[Recipe]) -> str:
    """Cost and score of each recipe on each data set and on all, beside the last recipe."""
    last = {_pair(one): one.best for one in courses if one.task.recipe == recipes[-1]}
    rows = []
    cells = [(one.task.data, one.task.model) for one in courses]
    for data, model in [*_in_order(cells), ("all", "all")]:
        for recipe in recipes:
            runs = [
                one
                for one in courses
                if one.task.recipe == recipe and data in (one.task.data, "all")
                if model in (one.task.model, "all")
            ]
            if runs:
                rows.append([_short(data), model, recipe.name, *_figures(runs, last)])
    header = ["data", "model", "recipe", "trials", "core-minutes", "training, min", "best mean F1",
              "less the last recipe's", "95 % interval", "converged"]  # fmt: skip
    return "\n" + markdown(header, rows)


def _short(data: str) -> str:
    """Name of a data set: that of its file, or of the folder of a `dataset.yaml`."""
    path = Path(data)
    return path.parent.name if path.name.startswith("dataset") else path.stem


def _pair(one: Course) -> tuple[str, str, int, float]:
    """What a trial shares with those of other recipes that it is compared with."""
    return one.task.data, one.task.model, one.task.seed, one.task.label_frac


def plot(path: Path, courses: Sequence[Course], recipes: Sequence[Recipe]) -> None:
    """Best score so far over minutes of one core: a panel for each model on each data set."""
    from growth_chart import STYLE
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    datas = _in_order(one.task.data for one in courses)
    models = _in_order(one.task.model for one in courses)
    with rc_context(STYLE):
        size = (4.2 * len(datas), 3.4 * len(models))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(models), len(datas), squeeze=False, sharex=True, sharey="col")
        for row, model in enumerate(models):
            for column, data in enumerate(datas):
                axes = panels[row][column]
                for number, recipe in enumerate(recipes):
                    runs = [
                        one
                        for one in courses
                        if (one.task.data, one.task.model, one.task.recipe) == (data, model, recipe)
                    ]
                    for run in runs:
                        minutes = [run.cpu_s / 60 * step / run.steps[-1] for step in run.steps]
                        best = [max(run.scores[: end + 1]) for end in range(len(run.scores))]
                        label = recipe.name if run is runs[0] else None
                        axes.plot(minutes, best, "o-", color=f"C{number}", ms=3, label=label)
                axes.set_xscale("log")
                axes.set_xticks((0.5, 1, 2, 5, 10, 20, 50), minor=False)
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_locator(NullLocator())
                axes.set_title(f"{METHODS[model].label}, {_short(data)}", loc="left", fontsize=12)
                best = max(one.best for one in courses if one.task.data == data)
                axes.set_ylim(best - _SHOWN, best + 0.01)
        figure.supxlabel("minutes of one core", fontsize=12)
        figure.supylabel("best validation mean F1 so far", fontsize=12)
        panels[0][0].legend(frameon=False, fontsize=10)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _figures(
    runs: Sequence[Course], last: Mapping[tuple[str, str, int, float], float]
) -> list[str]:
    differences = [one.best - last[_pair(one)] for one in runs if _pair(one) in last]
    mean, margin = "", ""
    if differences:
        middle = statistics.mean(differences)
        mean = f"{middle:+.4f}"
        if len(differences) > 1 and any(differences):
            half = stats.t.ppf(0.975, len(differences) - 1) * float(stats.sem(differences))
            margin = f"{middle - half:+.4f} to {middle + half:+.4f}"
    return [
        str(len(runs)),
        f"{statistics.median(one.cpu_s for one in runs) / 60:.1f}",
        f"{statistics.median(one.train_s for one in runs) / 60:.1f}",
        f"{statistics.mean(one.best for one in runs):.4f}",
        mean,
        margin,
        f"{sum(one.converged for one in runs)} of {len(runs)}",
    ]


def _in_order(values: Iterable[_T]) -> list[_T]:
    return list(dict.fromkeys(values))


def _finished(log: Path) -> dict[tuple[Any, ...], Course]:
    """Trials that the log holds, by their keys."""
    if not log.exists():
        return {}
    courses = [_course(json.loads(line)) for line in log.read_text().splitlines()]
    return {one.task.key: one for one in courses}


def _course(plain: dict[str, Any]) -> Course:
    task = plain["task"]
    recipe = Recipe(**task["recipe"])
    return Course(**{**plain, "task": Task(**{**task, "recipe": recipe})})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=[_SCENES], help="data sets, or `scenes`")
    parser.add_argument("--recipes", nargs="+", default=["compact", "long:steps=8000"])
    parser.add_argument("--models", nargs="+", default=["unet", "urec"])
    parser.add_argument("--preset", default="compact", choices=list(PRESETS))
    parser.add_argument("--fraction", type=float, default=0.1, help="label_frac of all trials")
    parser.add_argument("--seeds", type=int, default=4, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="trials at once, a thread each")
    parser.add_argument("--output", default="studies", help="folder of all studies")
    parser.add_argument("--log", type=Path, default=Path("time_to_answer.jsonl"))
    parser.add_argument("--finished", action="store_true", help="train nothing: those of the log")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="score over core-minutes, PNG")
    return parser.parse_args()


if __name__ == "__main__":
    main()
