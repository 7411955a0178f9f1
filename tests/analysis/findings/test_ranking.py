"""Several variants in one paragraph, and the pair that leads."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from analysis.findings.curve_findings import curve_heading
from analysis.findings.findings import findings, other_findings
from analysis.findings.ranking import ranking_finding
from analysis.reading.styles import styles_of
from analysis.statistics.answer import Answer, compute_answer
from analysis.tables.answer.answer_files import answer_tables
from analysis.tables.answer.answer_tables import curve_table, difference_table
from contract.methods import METHODS
from contract.space import parse_compare
from contract.variants import make_variants

NOISE = (0.004, -0.003, 0.002, 0.0, -0.002, 0.003, -0.004, 0.001)


def answer_with(compare: str, gains: dict[str, float], *, num: int = 8, fracs=(0.1, 1.0)) -> Answer:
    """Scores over seeds, of each variant these above U-Net's, with a little noise of its own."""
    variants = make_variants(list(METHODS.values()), parse_compare(compare), {"w1": 0.1})
    rows = [
        (name, frac, seed, 0.5 + 0.1 * place + gain + NOISE[(seed * (index + 1)) % len(NOISE)])
        for index, (name, gain) in enumerate(gains.items())
        for place, frac in enumerate(fracs)
        for seed in range(num)
    ]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    return compute_answer(frame, "mean_f1", styles_of(variants), measures=("mean_f1",))


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


CONTROL = {"unet": 0.0, "urec-w1-0": 0.0, "urec-w1-0.1": 0.05}
MANY = {"unet": 0.0, "urec-w1-0": 0.0, "urec-w1-0.02": 0.002, "urec-w1-0.1": 0.05}


def test_the_headline_was_that_of_the_control() -> None:
    answer = answer_with("w1=0/0.1", CONTROL)
    said = [plain(text) for text in findings(answer)]
    assert said[0].startswith("U-REC, w1 0.1 needs fewer labels than U-Net")
    assert any(text.startswith("U-REC, w1 0.1 scores higher than U-Net") for text in said)
    first, second = plain(curve_heading(answer)).split("; ")
    assert first.startswith("Averaged from 10 % to 100 % of the labels, U-REC, w1 0.1 minus U-Net")
    assert "U-REC, w1 0.1 minus U-Net is +0.0" in first
    assert second.startswith("reconstruction's own effect, U-REC, w1 0.1 minus U-REC, w1 0 is +0.0")
    assert said[-1].startswith("All variants by test mean F1"), "and the control beside U-Net: "
    assert any("U-REC, w1 0 minus U-Net" in plain(text) for text in other_findings(answer))


def test_reconstructions_own_effect_is_the_difference_to_its_control() -> None:
    answer = answer_with("w1=0/0.1", CONTROL)
    (own,) = [plain(t) for t in findings(answer) if t.startswith("Reconstruction's own effect")]
    assert own.startswith(
        "Reconstruction's own effect, U-REC, w1 0.1 beside its control: U-REC, w1 0.1 scores "
        "higher than U-REC, w1 0 in test mean F1 over 10 % to 100 % of the labels: +0.0"
    )
    (area,) = [one for one in answer.area_differences if one.reference == "urec-w1-0"]
    assert (area.variant, area.is_testable) == ("urec-w1-0.1", True)


def test_an_own_effect_is_tested_in_the_one_family_of_the_study() -> None:
    """Its p is adjusted over all pairs: alone it would be smaller."""
    gains = {"unet": 0.0, "urec-w1-0": 0.0, "urec-w1-0.1": 0.002}
    answer = answer_with("w1=0/0.1", gains)
    alone = answer_with("w1=0/0.1", {name: gains[name] for name in list(gains)[1:]})
    (among,) = [one for one in answer.area_differences if one.reference == "urec-w1-0"]
    (single,) = alone.area_differences
    assert among.p_adjusted > single.p_adjusted


def test_nothing_is_claimed_of_an_effect_that_no_test_shows() -> None:
    answer = answer_with("w1=0/0.1", {"unet": 0.0, "urec-w1-0": 0.05, "urec-w1-0.1": 0.0505})
    (own,) = [plain(t) for t in findings(answer) if t.startswith("Reconstruction's own effect")]
    assert ": No difference in test mean F1 can be shown over 10 % to 100 %" in own
    assert "scores higher" not in own


def test_tables_name_the_own_effect() -> None:
    answer = answer_with("w1=0/0.1", CONTROL)
    frame = difference_table(answer)
    named = frame[frame["own_effect"] == "reconstruction"]
    assert set(zip(named["model"], named["minus"], strict=True)) == {("urec-w1-0.1", "urec-w1-0")}
    curves = curve_table(answer)
    (row,) = curves[curves["note"] == "reconstruction's own effect"].to_dict("records")
    assert (row["model"], row["minus"]) == ("urec-w1-0.1", "urec-w1-0")
    texts = {one.stem: one for one in answer_tables(pd.DataFrame(), answer)}
    minus = {line[4] for line in texts["differences"].readable[1:]}
    assert minus == {"U-Net", "U-REC, w1 0 (reconstruction's own effect)"}


def test_several_variants_are_ranked_in_one_paragraph_instead_of_five_alike() -> None:
    answer = answer_with("w1=0/0.02/0.1", MANY)
    said = [plain(text) for text in findings(answer)]
    ranking = said[-1]
    assert ranking.startswith(
        "All variants by test mean F1 averaged over 10 % to 100 % of the labels (95 % intervals "
        "over seeds): 0.6"
    )
    order = sorted(MANY, key=lambda name: -answer.heights[name].mean)
    listed = ranking.partition("seeds): ")[2].partition(". ")[0]
    shown = re.findall(r"for (U-Net|U-REC, w1 [0-9.]+)", listed)
    assert shown == [answer.styles[name].label for name in order]
    assert shown[0] == "U-REC, w1 0.1"
    assert "Tests show that U-REC, w1 0.1 scores higher than U-Net (+0.0" in ranking
    assert "Of 3 other pairs no difference is shown: their order may be chance." in ranking
    assert "Fewer labels than U-Net for the same score are needed by U-REC, w1 0.1." in ranking
    assert not any("w1 0.02" in text for text in said[:-1])
    told = [plain(text) for text in other_findings(answer)]
    assert any("U-REC, w1 0.02 beside its control" in text for text in told)


def test_an_order_without_a_test_is_said_to_be_chance() -> None:
    few = plain(ranking_finding(answer_with("w1=0/0.02/0.1", MANY, num=3)))
    assert few.endswith("Too few seeds for any test: this order may be chance.")
    assert "higher" not in few
    equal = dict.fromkeys(MANY, 0.0)
    alike = plain(ranking_finding(answer_with("w1=0/0.02/0.1", equal)))
    assert "No test shows a difference between any two of them" in alike
    assert "higher" not in alike


def test_variants_at_one_fraction_are_ranked_by_their_scores_there() -> None:
    answer = answer_with("w1=0/0.02/0.1", MANY, fracs=(0.1,))
    text = plain(ranking_finding(answer))
    assert text.startswith("All variants by test mean F1 with 10 % of the labels")
    assert answer.heights["urec-w1-0.1"].mean == pytest.approx(0.55, abs=0.002)
    assert "Tests show that U-REC, w1 0.1 scores higher than U-Net" in text


def test_of_many_methods_the_first_alone_and_all_effects_have_texts() -> None:
    """Eight variants filled a page with texts alike."""
    methods = list(METHODS.values())
    variants = make_variants(methods, parse_compare("w1=0/0.1,ema_decay=0/0.5"), {"w1": 0.1})
    names = [one.name for one in variants]
    gains = {name: 0.001 * place for place, name in enumerate(names)}
    rows = [
        (name, frac, seed, 0.5 + gain + NOISE[(seed * (place + 1)) % len(NOISE)])
        for place, (name, gain) in enumerate(gains.items())
        for frac in (0.1, 1.0)
        for seed in range(6)
    ]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    answer = compute_answer(frame, "mean_f1", styles_of(variants), measures=("mean_f1",))
    said = [plain(text) for text in findings(answer)]
    assert sum(text.startswith("All variants by test mean F1") for text in said) == 1
    assert len(said) < len(other_findings(answer))
    effects = [text for text in said if text.startswith("Reconstruction's own effect")]
    assert len(effects) + 3 >= len(said), "besides them the first pair's texts and the ranking"
