"""What the plan says that a study will be able to show."""

import pytest

from contract.protocol.power import difference_found
from study.design.detectable import detectable_text


def test_eight_seeds_say_what_they_would_find(make_config):
    config = make_config(space="label_frac=0.01/0.1/1", seeds=8)
    curve, fraction = difference_found(8, 1, 0.04), difference_found(8, 3, 0.05 * (1 - 0.8))
    assert detectable_text(config) == (
        "8 seeds: 80 % of such studies would show a difference of "
        f"{curve:.1f} standard deviations of paired differences ({curve / 100:.3f} where that is "
        f"0.01, {curve / 50:.3f} where that is 0.02) over the whole curve; {fraction:.1f} standard "
        f"deviations of paired differences ({fraction / 100:.3f} where that is 0.01, "
        f"{fraction / 50:.3f} where that is 0.02) at a single fraction alone"
    )


def test_six_seeds_show_no_single_fraction_alone(make_config):
    text = detectable_text(make_config(space="label_frac=0.01/0.1/1", seeds=6))
    assert text.endswith("none at a single fraction alone (that needs 8 seeds)")
    alone = detectable_text(make_config(space="label_frac=0.1", seeds=6))
    assert "over the whole curve" not in alone
    assert alone.endswith("at its one fraction")


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_the_plan_warns_where_seeds_are_too_few_for_any_test(make_config, seeds):
    text = detectable_text(make_config(space="label_frac=0.01/1", seeds=seeds))
    assert text.startswith(f"seeds should be at least 6, got {seeds}: with fewer no test can show")
    assert text.endswith("--seeds 6")


def test_a_study_of_one_variant_compares_nothing(make_config):
    assert detectable_text(make_config(models=["unet"], seeds=3)) == ""
