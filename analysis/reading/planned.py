"""The arms that a study's configuration asks for, whether or not a run of them is on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analysis.reading.schema import MODELS, NETWORKS, StudyDataError, StudyInfo
from contract.parameters import PARAMETERS
from contract.space import split_space


def planned_arms(info: StudyInfo) -> tuple[tuple[float, str], ...]:
    """Every model, in every variant, at every annotation fraction of the configuration.

    Args:
        info: Of which `study.yaml` is read: `models` and `space` of its `config`.

    Returns:
        (label_frac, variant) by label_frac, then in the order of MODELS. Empty where the
        configuration is not on record, or names `label_frac` without its levels, so that nothing
        is known of the arms asked for.

    Raises:
        StudyDataError: If a model is unknown or a level breaks its rule.
    """
    config = info.document.get("config")
    if not isinstance(config, Mapping):
        return ()
    models, space = config.get("models"), config.get("space")
    if not isinstance(models, list) or not isinstance(space, str):
        return ()
    if unknown := [model for model in models if model not in NETWORKS]:
        raise StudyDataError(
            f"models must be among {list(NETWORKS)}, got {unknown!r} in study.yaml of study "
            f"{info.name}"
        )
    levels = {part.name: part.levels for part in split_space(space)}
    fracs = [_fraction(text, info.name) for text in levels.get("label_frac", ("1",))]
    variants = _variants(models, levels, info.name)
    return tuple((frac, variant) for frac in sorted(set(fracs)) for variant in variants)


def _variants(
    models: Iterable[str], levels: Mapping[str, tuple[str, ...]], study: str
) -> tuple[str, ...]:
    """The variants of the models, in the order of MODELS."""
    wanted = set(models)
    if "reconstruct_on" in levels and "urec" in wanted:
        known = PARAMETERS["reconstruct_on"].levels or ()
        levels_named = levels["reconstruct_on"] or tuple(map(str, known))
        if unknown := [level for level in levels_named if level not in known]:
            raise StudyDataError(
                f"reconstruct_on must be among {list(known)}, got {unknown!r} in the "
                f"space of study {study}"
            )
        wanted = (wanted - {"urec"}) | {f"urec-{level}" for level in levels_named}
    return tuple(variant for variant in MODELS if variant in wanted)


def _fraction(text: str, study: str) -> float:
    try:
        frac = float(text)
    except ValueError:
        frac = -1.0
    if not 0.0 < frac <= 1.0:
        raise StudyDataError(
            f"label_frac must be in (0, 1], got {text!r} in the space of study {study}"
        )
    return frac
