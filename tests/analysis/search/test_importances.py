import numpy as np
import pytest

from analysis.search.importances import importances, predicted_share

pytest.importorskip("optuna")
pytest.importorskip("sklearn")

RANGES = {"w1": 0, "lr": 0}


def points_of(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(num, 2))


@pytest.mark.parametrize("matters", ["w1", "lr"])
@pytest.mark.parametrize("num", [15, 40])
def test_both_methods_find_the_one_that_matters(matters: str, num: int) -> None:
    points = points_of(num)
    column = list(RANGES).index(matters)
    noise = np.random.default_rng(1).normal(0.0, 0.02, num)
    fanova, ped_anova = importances(points, points[:, column] + noise, RANGES)
    other = "lr" if matters == "w1" else "w1"
    assert fanova[matters] > 0.8
    assert fanova[other] < 0.15
    assert ped_anova[matters] > 0.8
    assert sum(ped_anova.values()) == pytest.approx(1.0)


def test_fanova_agrees_with_the_shares_of_variance_of_a_sum() -> None:
    points = points_of(300)
    fanova, _ = importances(points, 2.0 * points[:, 0] + points[:, 1], RANGES)
    assert fanova["w1"] == pytest.approx(4 / 5, abs=0.05)
    assert fanova["lr"] == pytest.approx(1 / 5, abs=0.05)


def test_what_is_due_to_both_together_is_missing_from_fanova() -> None:
    points = points_of(300)
    product = (points[:, 0] - 0.5) * (points[:, 1] - 0.5)
    fanova, _ = importances(points, product, RANGES)
    assert sum(fanova.values()) < 0.4


def test_levels_are_told_apart() -> None:
    generator = np.random.default_rng(2)
    points = np.stack([generator.integers(0, 4, 30), generator.uniform(size=30)], axis=1)
    fanova, ped_anova = importances(points, points[:, 0], {"w1": 4, "lr": 0})
    assert fanova["w1"] > 0.9
    assert ped_anova["w1"] > 0.8


def test_same_trials_give_the_same_importances_and_leave_optuna_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    points = points_of(20)
    first, again = (importances(points, points[:, 0], RANGES) for _ in range(2))
    assert first == again
    assert first != importances(points_of(20, seed=3), points[:, 0], RANGES)
    assert optuna.logging.get_verbosity() == before


def test_trials_that_all_count_as_the_best_have_no_ped_anova() -> None:
    points = points_of(12)
    score = np.where(points[:, 1] > np.sort(points[:, 1])[7], points[:, 1], 0.05)
    fanova, ped_anova = importances(points, score, RANGES)  # eight share the worst score
    assert ped_anova == {}
    assert fanova["lr"] > 0.5
    score[score == 0.05] = np.linspace(0.0, 0.05, 8)
    assert sum(importances(points, score, RANGES)[1].values()) == pytest.approx(1.0)


@pytest.mark.parametrize("num", [10, 25])
def test_noise_predicts_nothing_and_a_signal_does(num: int) -> None:
    shares = {"noise": [], "signal": []}
    for seed in range(5):
        points = points_of(num, seed)
        noise = np.random.default_rng(100 + seed).normal(0.0, 0.02, num)
        shares["noise"].append(predicted_share(points, noise))
        shares["signal"].append(predicted_share(points, points[:, 1] + noise))
    assert sum(share <= 0.0 for share in shares["noise"]) >= 4
    assert min(shares["signal"]) > 0.3


def test_mixed_spaces_find_the_word_that_matters() -> None:
    generator = np.random.default_rng(2)
    word, whole = generator.integers(3, size=60), generator.integers(5, size=60)
    real = generator.uniform(size=60)
    points = np.stack([word, whole, real], axis=1).astype(np.float64)
    score = (word == 1) + generator.normal(0.0, 0.02, 60)
    fanova, ped_anova = importances(points, score, {"act": 3, "depth": 5, "lr": 0}, ["act"])
    assert list(fanova) == list(ped_anova) == ["act", "depth", "lr"]
    assert fanova["act"] > 0.8
    assert ped_anova["act"] > 0.6
