"""One self-contained HTML page from a study's tables, figures and pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from markupsafe import Markup, escape

from analysis import wording
from analysis.figure_files import FIGURE_SCORES, panel_svg
from analysis.figures import INK, PAPER, RULE, ScarcityInfo, label_scarcity_info
from analysis.findings import findings, warnings
from analysis.pictures import budget_pictures, trial_pictures
from analysis.schema import MODELS, NETWORKS
from analysis.scores import SCORE_LABELS, undefined_classes
from analysis.stats import MIN_SEEDS, PairedDifference, all_differences
from analysis.tables import ConfusionTable

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

    from analysis.load import StudyRecord

DIFFERENCE_SCORES = ("mean_f1", "oa", "miou")
_TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    record: StudyRecord,
    *,
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    confusions: Sequence[ConfusionTable],
    search: pd.DataFrame,
) -> str:
    """The whole report; it asks nothing of any host.

    Args:
        record: The study.
        scores: As from `scores.score_trials`.
        comparison: As from `tables.comparison`.
        confusions: As from `tables.confusion_tables`.
        search: As from `search_table.search_results`.

    Returns:
        An HTML document.
    """
    differences = {measure: all_differences(scores, measure) for measure in DIFFERENCE_SCORES}
    pictures = trial_pictures(record, scores)
    infos = [] if scores.empty else [label_scarcity_info(scores, m) for m in FIGURE_SCORES]
    template = _environment().get_template("report.html")
    return template.render(
        info=record.info,
        facts=_facts(record),
        warnings=warnings(record, scores),
        failures=_failures(record),
        findings=[_unbroken(text) for text in findings(scores, differences["mean_f1"])],
        panels=[_inline_svg(panel_svg(info), info) for info in infos],
        drawn_variants=[curve.variant for curve in infos[0].curves] if infos else [],
        figure_note=infos[0].note if infos else "",
        comparison=comparison.to_dict("records"),
        has_eroded="oa_eroded_mean" in comparison.columns,
        differences=_difference_rows(differences),
        num_intervals=sum(d.difference.num >= MIN_SEEDS for d in differences["mean_f1"]),
        difference_scores=DIFFERENCE_SCORES,
        confusions=confusions,
        excluded=_excluded(record),
        undefined=undefined_classes(record),
        pictures=pictures,
        budgets=budget_pictures(record),
        widest_px=max((picture.width_px for picture in pictures), default=0),
        search=search.to_dict("records"),
        provenance=_provenance(record),
        notes=record.notes,
    )


def _environment() -> Environment:
    """Templates that escape what they are given and refuse names they were not given."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "MODELS": MODELS,
        "SCORE_LABELS": SCORE_LABELS,
        "rgb": _rgb,
        **{
            name: getattr(wording, name)
            for name in ("percent", "score", "mean_and_sd", "signed", "setting", "counted")
        },
    }
    return environment


def _facts(record: StudyRecord) -> tuple[str, ...]:
    """The line below the title: data, bands, tiles, runs."""
    dataset = record.info.document.get("dataset") or {}
    config = record.info.document.get("config") or {}
    facts = []
    if "name" in dataset:
        facts.append(str(dataset["name"]))
    if dataset.get("bands"):
        facts.append(" ".join(str(band) for band in dataset["bands"]))
    if dataset.get("gsd_m"):
        reduced = int(config.get("downsample", 1))
        sampled = f"{100 * float(dataset['gsd_m']):g} cm ground sample distance"
        facts.append(sampled + (f", reduced {reduced} times" if reduced > 1 else ""))
    splits = dataset.get("splits") or {}
    if splits:
        sizes = " / ".join(str(len(splits.get(part) or ())) for part in ("train", "val", "test"))
        facts.append(f"{sizes} tiles to train / validate / test")
    if "preset" in config:
        facts.append(f"preset {config['preset']}")
    facts.append(wording.counted(len(record.trials), "trial"))
    return tuple(facts)


def _failures(record: StudyRecord) -> list[dict[str, Any]]:
    """One row per failed trial: its key, how often it was started, why it failed."""
    attempts = record.trials.set_index("trial_key")["attempts"]
    return [
        {"trial_key": key, "attempts": int(attempts[key]), "reason": reason}
        for key, reason in sorted(record.failures.items())
    ]


def _excluded(record: StudyRecord) -> tuple[str, ...]:
    """Classes outside of the means, as the confusion matrices say it."""
    recorded = next((c.exclude_from_mean for c in record.confusions.values()), None)
    return record.info.exclude_from_mean if recorded is None else recorded


def _difference_rows(
    differences: Mapping[str, Sequence[PairedDifference]],
) -> list[dict[str, Any]]:
    """One row per pair of variants and fraction, its differences of all measures side by side."""
    rows = []
    for same_arms in zip(*differences.values(), strict=True):
        by_measure = {paired.measure: paired.difference for paired in same_arms}
        num_pairs = max(interval.num for interval in by_measure.values())
        rows.append(
            {
                "pair": (same_arms[0].variant, same_arms[0].reference),
                "label_frac": same_arms[0].label_frac,
                "num_pairs": num_pairs,
                "differences": by_measure,
            }
        )
    return rows


def _inline_svg(document: str, info: ScarcityInfo) -> str:
    """An SVG document as an element of the page, its colours handed to the page's variables."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r' (?:xmlns(?::xlink)?|width|height|version)="[^"]*"', "", svg, count=5)
    variables = {INK: "--ink", RULE: "--rule", PAPER: "--paper"}
    variables |= {MODELS[c.variant].color: f"--{c.variant}" for c in info.curves}
    for color, variable in variables.items():
        svg = svg.replace(color.lower(), f"var({variable})")
    # both panels stand in one document: ids must not meet
    svg = re.sub(r'(id="|"#|url\(#)', rf"\g<1>{info.measure}-", svg)
    label = f"Test {SCORE_LABELS[info.measure]} over the annotated share of the training pixels"
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _unbroken(text: str) -> Markup:
    """Text whose model names keep their hyphen on one line."""
    names = "|".join(re.escape(MODELS[network].label) for network in NETWORKS)
    return Markup(re.sub(names, r'<span class="whole">\g<0></span>', str(escape(text))))


def _rgb(color: str) -> str:
    """'#RRGGBB' as '0 114 178', to which CSS can give an opacity."""
    return " ".join(str(channel) for channel in bytes.fromhex(color.removeprefix("#")))


def _provenance(record: StudyRecord) -> dict[str, str]:
    """Headings and values of the last section."""
    provenance = record.info.document.get("provenance") or {}
    shown = {"Commit": str(provenance.get("commit", "not recorded"))}
    versions = provenance.get("versions") or {}
    if versions:
        shown["Versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    if provenance.get("hardware"):
        shown["Hardware"] = yaml.safe_dump(
            provenance["hardware"], default_flow_style=True, sort_keys=False, width=1000
        ).strip("{}\n")
    if record.info.document:
        shown["study.yaml"] = yaml.safe_dump(
            dict(record.info.document), sort_keys=False, allow_unicode=True
        )
    return shown
