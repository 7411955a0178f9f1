"""Arguments and `--config` file to a `StudyConfig`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, get_args

import yaml

from contract.methods import COMPARED_BY_DEFAULT, METHODS
from contract.names import MANIFEST
from contract.parameters import PARAMETERS
from study.settings.checks import parse_seeds
from study.settings.config import PRUNERS, SAMPLERS, StudyConfig, build_config
from study.settings.presets import PRESETS
from trainables.data.budgets.units import Kind
from trainables.errors import ConfigError

Wanted: TypeAlias = Literal["study", "plan", "data"]
"""What a command is to do: run, say what a run would take, or show the data."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage: every wrong option is one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see --help")


def parse_arguments(arguments: Sequence[str]) -> tuple[StudyConfig, Wanted]:
    """Read the command line.

    Returns:
        The configuration, and what is wanted of it: with `--dry-run` only the plan, with
        `--inspect` only the page of the data.

    Raises:
        ConfigError: For an option or a file that cannot be used.
    """
    given = vars(_build_parser().parse_args(arguments))
    dry_run, inspect = given.pop("dry_run"), given.pop("inspect")
    if dry_run and inspect:
        raise ConfigError("--inspect must be given without --dry-run, got both; run one by one")
    wanted: Wanted = "plan" if dry_run else "data" if inspect else "study"
    file = given.pop("config")
    if given["models"] is not None:
        given["models"] = [name.strip() for name in given["models"].split(",")]
    merged = {} if file is None else _read_file(Path(file))
    merged.update({name: value for name, value in given.items() if value is not None})
    return _as_begun(build_config(merged), merged), wanted


def _as_begun(config: StudyConfig, given: Mapping[str, Any]) -> StudyConfig:
    """The study with the domains and seeds it has, where a person leaves them to their defaults.

    Defaults change between versions of this package, and a study goes on with its own; seeds may
    have been added to it.

    Args:
        config: As given, and with the preset's values.
        given: Options and training fields that a person gave.
    """
    try:
        content = yaml.safe_load((config.folder / MANIFEST).read_text(encoding="utf-8"))
        begun = content["config"]["space"].split(",")
        seeds = parse_seeds(content["config"]["seeds"])
    except (
        OSError, yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ConfigError,
    ):  # fmt: skip
        return config  # it has not begun, or whoever reads the file next says what is wrong with it
    known = {part.partition("=")[0]: part for part in begun}
    parts = [part.strip() for part in config.space.split(",")]
    config = replace(config, space=",".join(known.get(part, part) for part in parts))
    if given.get("seeds") is None:
        return replace(config, seeds=seeds[-1], looks=seeds if len(seeds) > 1 else ())
    return config


def _read_file(path: Path) -> dict[str, Any]:
    """Options of a YAML file; the `config` part where it is the `study.yaml` of a study."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"--config must be a file that can be read, got {str(path)!r} ({error.strerror})"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or no such date
        raise ConfigError(
            f"--config must be YAML, got {' '.join(str(error).split())} in {path}"
        ) from None
    if isinstance(content, dict) and "provenance" in content:
        content = content.get("config")
    if not isinstance(content, dict):
        raise ConfigError(f"--config must hold `key: value` lines, got {content!r} in {path}")
    return content


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_study.py",
        description="How much annotation does a method save? Searches, confirms and compares "
        f"{' and '.join(METHODS[name].label for name in COMPARED_BY_DEFAULT)}, or others, at "
        "several annotation fractions.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--space", help=f"what varies, of {', '.join(PARAMETERS)}: by name, as levels "
        "label_frac=0.01/0.1/1 or as a range w1=0.01..0.5 (default w1,label_frac)")  # fmt: skip
    add("--data", help="folder with dataset.yaml, such a file, or ISPRS Vaihingen / Potsdam as "
        "downloaded (default: built-in scenes)")  # fmt: skip
    add("--compare", help="what else is compared than methods: parameters whose levels become "
        "variants, w1=0/0.1 (default: none)")  # fmt: skip
    add("--models", help=f"methods, of {', '.join(METHODS)}, each also as METHOD:ENCODER with a "
        "pretrained encoder, or package.module:factory for a network of your own (default "
        f"{','.join(COMPARED_BY_DEFAULT)})")  # fmt: skip
    add("--preset", help=f"scale of training: {', '.join(PRESETS)} (default demo)")
    add("--trials", type=int, help="search trials per arm (default: the preset's)")
    add("--seeds", help="confirmation repeats per arm; several numbers as in 8,11,14 plan looks at "
        "the findings; more under the same name continue (default: the preset's)")  # fmt: skip
    add("--look", type=int, help="end at this look, one of those that are planned (default: the "
        "last)")  # fmt: skip
    add("--search-seeds", type=int, help="seeds with which every suggestion of a search is "
        "trained; its value is their mean (default 1)")  # fmt: skip
    add("--sampler", help=f"{', '.join(SAMPLERS)} (default tpe)")
    add("--pruner", help=f"{', '.join(PRUNERS)} (default none)")
    add("--retries", type=int, help="how often a failed trial goes on from its checkpoint before "
        "it counts as failed (default 2)")  # fmt: skip
    add("--equal", help="what every trial takes as much of: steps (default), or compute, where "
        "cheaper trials get more steps than the costliest")  # fmt: skip
    add("--budget-unit", help=f"what is annotated at a time: {', '.join(get_args(Kind))} (default "
        "block)")  # fmt: skip
    add("--val-frac", help="labels of the validation tiles that choose weights and settings: all "
        "(default), a fraction, or same as the arm's of the training tiles")  # fmt: skip
    add("--workers", help="data-parallel workers per trial, a number or a range 2..8; 0 = in the "
        "trial's own process (default)")  # fmt: skip
    add(
        "--gpus",
        type=float,
        help="GPUs per worker, fractions allowed (default: 1 if any)",
    )
    add("--cpus", type=float, help="CPUs per worker (default 1)")
    add("--concurrent", type=int, help="trials at once at most (default: as many as fit)")
    add("--address", help="Ray cluster to join, auto or HOST:PORT (default: Ray on this machine)")
    add("--storage", help="shared folder or URI, such as s3://bucket/studies, for budgets, trial "
        "state and checkpoints (default: --output)")  # fmt: skip
    add("--tracking-uri", help="MLflow server or database (default sqlite:///mlflow.db)")
    add("--name", help="name of the study; the same name again continues it")
    add("--output", help="folder of all studies (default studies)")
    add("--config", help="YAML file with any of these and every training field")
    add("--profile", action=argparse.BooleanOptionalAction, default=None, help="write a trace of "
        "one trial and a table of where the study's time goes (default off)")  # fmt: skip
    add("--dry-run", action="store_true", help="print arms, trials, disk and estimated time; runs "
        "a short calibration alone")  # fmt: skip
    add("--inspect", action="store_true", help="write a page that shows the data: tiles with "
        "labels, splits, classes, budgets; trains nothing")  # fmt: skip
    return parser
