"""One self-contained HTML page from a study's tables, statistics, charts and pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from markupsafe import Markup, escape

from analysis import wording
from analysis.charts.inline import PageChart, download
from analysis.findings.curve_findings import (
    could_show,
    curve_heading,
    doubling_note,
    rare_classes,
)
from analysis.findings.findings import findings, first_pairs, other_findings
from analysis.findings.narrower import narrower_differences, narrower_needed
from analysis.findings.needed.needed_findings import bounds_text
from analysis.findings.needed.validation_cost import validation_note
from analysis.page.contents import Contents
from analysis.pictures.trial_pictures import budget_pictures, trial_pictures
from analysis.reading.styles import Styles, own_effect
from analysis.statistics.answer import MEASURES
from analysis.statistics.intervals import MIN_SEEDS
from analysis.statistics.label_efficiency.shares import ASKED, Shares
from analysis.statistics.scores import SCORE_LABELS
from analysis.tables.costs.equal import equal_fact
from analysis.tables.tables_view import duration, tables_view, whole

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

    from analysis.charts.inline import Download
    from analysis.pictures.picture_data import PictureSection
    from analysis.reading.sources.record import StudyRecord
    from analysis.search.search_section import SearchSection
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference
    from analysis.tables.study_tables import StudyTables
    from contract.methods import Method

_TEMPLATES = Path(__file__).parent / "templates"
_SHAPES = {
    "o": "border-radius: 50%;",
    "D": "transform: rotate(45deg) scale(.88);",
    "^": "transform: scale(1.2); clip-path: polygon(50% 0, 100% 100%, 0 100%);",
    "s": "",
    "v": "transform: scale(1.2); clip-path: polygon(0 0, 100% 0, 50% 100%);",
    "P": "transform: scale(1.15); clip-path: polygon(33% 0, 67% 0, 67% 33%, 100% 33%, 100% 67%, "
    "67% 67%, 67% 100%, 33% 100%, 33% 67%, 0 67%, 0 33%, 33% 33%);",
    "X": "transform: rotate(45deg) scale(1.2); clip-path: polygon(33% 0, 67% 0, 67% 33%, "
    "100% 33%, 100% 67%, 67% 67%, 67% 100%, 33% 100%, 33% 67%, 0 67%, 0 33%, 33% 33%);",
    "*": "transform: scale(1.4); clip-path: polygon(50% 0, 61% 35%, 98% 35%, 68% 57%, 79% 91%, "
    "50% 70%, 21% 91%, 32% 57%, 2% 35%, 39% 35%);",
}
"""matplotlib's markers in CSS."""
_REPEAT = (
    "python run_study.py --config study.yaml --name ANOTHER, where study.yaml is the text below or "
    "the study's own file"
)
"""How a study is run once more."""
_STATISTICS = ("differences", "intervals", "curves")
"""Tables offered below the differences."""


def render_page(
    record: StudyRecord,
    *,
    scores: pd.DataFrame,
    answer: Answer,
    tables: StudyTables,
    csvs: Mapping[str, str],
    search: SearchSection,
    pictures: PictureSection | None,
    charts: Mapping[str, PageChart],
    warnings: Sequence[str],
) -> str:
    """The whole report; it asks nothing of any host.

    Args:
        record: The study.
        scores: As from `scores.score_trials`.
        answer: As from `answer.answer_of`.
        tables: As from `study_tables.study_tables`.
        csvs: Text of every table by the name of its file without suffix.
        search: As from `search_section.search_section`.
        pictures: As from `picture_section.picture_section`.
        charts: By name; a chart that could not be drawn is left out.
        warnings: What a reader must know before the findings.

    Returns:
        An HTML document.
    """
    files = {stem: download(f"{stem}.csv", text.encode()) for stem, text in csvs.items()}
    whole_tiles = trial_pictures(record, scores) if pictures is None else []
    styles, rows = record.styles, difference_rows(answer)
    return (
        environment(styles, tables.shares if answer.closed else answer.shares)
        .get_template("report.html")
        .render(
            info=record.info,
            facts=study_facts(record),
            warnings=warnings,
            failures=_failures(record),
            findings=findings(answer),
            other_findings=other_findings(answer),
            curve_heading=curve_heading(answer),
            doubling=doubling_note(answer),
            validation=validation_note(record),
            answer=answer,
            could_show=could_show(answer),
            others=_method_labels(styles, [one.variant for one in answer.needed]),
            rebuilding=_method_labels(
                styles, _variants(record, lambda method: method.reconstructs)
            ),
            labelling=_method_labels(styles, _variants(record, lambda method: method.labels)),
            over_tiles=answer.resamples is not None,
            narrower_differences=narrower_differences(answer),
            narrower_needed=narrower_needed(answer),
            rare_classes=rare_classes(answer),
            charts=charts,
            differences=rows,
            has_intervals=any(
                one.difference.is_known for row in rows for one in row["differences"].values()
            ),
            has_tests=any(row["differences"][answer.measure].is_testable for row in rows),
            first_pairs=first_pairs(answer),
            difference_scores=MEASURES,
            statistics=[files[stem] for stem in _STATISTICS if stem in files],
            downloads=lambda stem: _links(files.get(stem)),
            tables=tables_view(record, tables),
            section=pictures,
            pictures=whole_tiles,
            budgets=budget_pictures(record),
            widest_px=max((picture.width_px for picture in whole_tiles), default=0),
            search=search,
            provenance=_provenance(record),
            notes=record.notes,
        )
    )


def _method_labels(styles: Styles, variants: Iterable[str]) -> list[str]:
    """Different labels of the variants' methods, in order."""
    return list(dict.fromkeys(styles[name].method_label for name in variants))


def _variants(record: StudyRecord, does: Callable[[Method], bool]) -> list[str]:
    """Variants whose methods do something with what is not annotated."""
    return [
        name
        for name, style in record.styles.items()
        if (method := record.methods.get(style.variant.method)) is not None and does(method)
    ]


def environment(styles: Styles, shares: Shares | None = None) -> Environment:
    """Templates that escape what they are given and refuse names they were not given.

    Args:
        styles: Of every variant that the page names.
        shares: What its fractions reached; None: nothing is known of it.
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "styles": styles,
        "shares": shares or ASKED,
        "shapes": _SHAPES,
        "contents": Contents(),
        "SCORE_LABELS": SCORE_LABELS,
        "MIN_SEEDS": MIN_SEEDS,
        "own_effect": partial(own_effect, styles),
        "bounds_text": bounds_text,
        "longest_word": _longest_word,
        "rgb": _rgb,
        "unbroken": partial(_unbroken, names=_method_labels(styles, styles)),
        **{
            name: getattr(wording, name)
            for name in (
                "percent",
                "share",
                "listed",
                "tenths",
                "score",
                "mean_and_sd",
                "signed",
                "setting",
                "counted",
            )
        },
        "p_value": wording.p_value,
        "duration": duration,
        "whole": whole,
    }
    return made


def _links(file: Download | None) -> Markup:
    """A link that holds a table's CSV and says so; nothing where there is no such table."""
    if file is None:
        return Markup()
    link = '<a href="{0}" download="{1}" title="{1}">{2}</a>'
    return Markup(f'<span class="links">{link}</span>').format(
        file.uri, file.file_name, file.described
    )


def study_facts(record: StudyRecord) -> tuple[str, ...]:
    """The line below the title: data, bands, tiles, runs."""
    dataset = record.info.document.get("dataset") or {}
    config = record.info.document.get("config") or {}
    facts = []
    if "name" in dataset:
        facts.append(str(dataset["name"]))
    if dataset.get("bands"):
        facts.append(" ".join(str(band) for band in dataset["bands"]))
    if dataset.get("gsd_m"):
        reduced = int(config.get("downsample") or 1)
        sampled = f"{100 * float(dataset['gsd_m']):g} cm ground sample distance"
        facts.append(sampled + (f", reduced {reduced} times" if reduced > 1 else ""))
    splits = dataset.get("splits") or {}
    if splits:
        sizes = " / ".join(str(len(splits.get(part) or ())) for part in ("train", "val", "test"))
        unlabelled = int(dataset.get("unlabelled_tiles") or 0)
        without = f", {unlabelled} of the first without labels" if unlabelled else ""
        facts.append(f"{sizes} tiles to train / validate / test{without}")
    if "preset" in config:
        facts.append(f"preset {config['preset']}")
    facts += filter(None, [equal_fact(record)])
    facts.append(wording.counted(len(record.trials), "trial"))
    return tuple(facts)


def _failures(record: StudyRecord) -> list[dict[str, Any]]:
    """One row per failed trial: its key, how often it was started, why it failed."""
    attempts = record.trials.set_index("trial_key")["attempts"]
    return [
        {"trial_key": key, "attempts": int(attempts[key]), "reason": reason}
        for key, reason in sorted(record.failures.items())
    ]


def difference_rows(answer: Answer) -> list[dict[str, Any]]:
    """One row per pair of variants and fraction, its differences of all measures side by side."""
    rows = []
    for same_arms in zip(*answer.differences.values(), strict=True):
        by_measure: dict[str, PairedDifference] = {paired.measure: paired for paired in same_arms}
        rows.append(
            {
                "pair": (same_arms[0].variant, same_arms[0].reference),
                "label_frac": same_arms[0].label_frac,
                "num_pairs": max(one.difference.num for one in same_arms),
                "differences": by_measure,
            }
        )
    return rows


def _unbroken(text: str, names: Sequence[str]) -> Markup:
    """Text whose names of methods keep their hyphen on one line."""
    longest_first = sorted((str(escape(name)) for name in names), key=len, reverse=True)
    found = "|".join(re.escape(name) for name in longest_first if "-" in name)
    written = str(escape(text))
    return Markup(re.sub(found, r'<span class="whole">\g<0></span>', written) if found else written)


def _longest_word(names: Iterable[str]) -> int:
    """Letters of the longest word in names whose words are parted by "_" or a space."""
    return max((len(word) for name in names for word in re.split(r"[_\s]", name)), default=0)


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
    if provenance and "config" in record.info.document:  # else it is no file for --config
        shown = {"Command": _REPEAT} | shown
    if record.info.document:
        shown["study.yaml"] = yaml.safe_dump(
            dict(record.info.document), sort_keys=False, allow_unicode=True
        )
    return shown
