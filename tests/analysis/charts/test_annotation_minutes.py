"""Curves over minutes."""

import numpy as np
import pandas as pd
import pytest

from analysis.charts.annotation_minutes import minutes_chart, over_minutes
from analysis.charts.scarcity import label_scarcity_info
from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of

STYLES = styles_of(tried_variants([("unet", "unet"), ("urec", "urec")]))
COST = {"per_px": 0.001, "per_tile": 2.0}


def _scores(minutes=lambda variant, frac, seed: 100 * frac + seed):
    return pd.DataFrame(
        [
            {"trial_key": f"{variant}{frac}{seed}", "variant": variant, "label_frac": frac,
             "seed": seed, "reached_frac": frac, "with_val_frac": frac,
             "annotation_minutes": minutes(variant, frac, seed), "mean_f1": 0.5 + frac / 4,
             "oa": 0.6 + frac / 4}
            for frac in (0.1, 1.0) for variant in ("unet", "urec") for seed in (1, 2, 3)
        ]
    )  # fmt: skip


def test_curves_stand_at_the_minutes_of_their_own_budgets() -> None:
    """Variants may have budgets of their own: in another order, say."""
    scores = _scores(lambda variant, frac, seed: 100 * frac + seed + 50 * (variant == "urec"))
    info = over_minutes(label_scarcity_info(scores, "mean_f1", STYLES), scores)
    found = {curve.variant: curve for curve in info.curves}
    np.testing.assert_allclose(found["unet"].reached, [12, 102])
    np.testing.assert_allclose(found["urec"].reached, [62, 152])
    np.testing.assert_allclose(found["urec"].seed_frac, [61, 62, 63, 151, 152, 153])
    assert info.axis == "Minutes of annotation (log scale)"
    assert info.tick_texts[-1] == "152"


def test_the_chart_has_minutes_beside_shares_and_names_the_prices() -> None:
    chart = minutes_chart(_scores(), STYLES, COST)
    assert chart is not None
    assert chart.data.loc[chart.data["measure"] == "oa", "minutes"].tolist() == [12, 102] * 2
    assert chart.data["reached_frac"].tolist() == pytest.approx([0.1, 1.0] * 4)
    assert "0.001 per px and 2 per tile" in chart.note
    assert "not drawn" not in chart.note


def test_budgets_that_take_no_time_are_said_to_be_left_out() -> None:
    chart = minutes_chart(_scores(lambda v, frac, s: 0.0 if frac < 1 else 9.0), STYLES, COST)
    assert chart is not None
    assert "6 trials whose budgets take no time are not drawn" in chart.note


@pytest.mark.parametrize("cost", [None, COST])
def test_without_minutes_there_is_no_chart(cost) -> None:
    scores = _scores(lambda variant, frac, seed: np.nan if cost else 1.0)
    assert minutes_chart(scores, STYLES, cost) is None
