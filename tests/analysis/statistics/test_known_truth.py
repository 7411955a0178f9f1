"""The statistics against simulated studies: what they say must be true as often as they claim."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from analysis.findings.findings import findings
from analysis.reading.compared import tried_variants
from analysis.reading.confusion import TrialConfusion
from analysis.reading.styles import styles_of
from analysis.statistics.answer import Answer, compute_answer
from analysis.statistics.intervals import (
    Interval,
    bootstrap_interval,
    draw_tiles,
    interquartile_mean,
    seeds_and_tiles_interval,
    t_interval,
)
from analysis.statistics.label_efficiency.efficiency import ScoreGrid, area_under_curve
from analysis.statistics.significance import share_higher
from analysis.statistics.tile_scores import _parts
from contract.measures import Values, class_mean, f1_per_class, has_reference, overall_accuracy

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

NUM_STUDIES = 500

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def curve(label_frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """U-Net's expected score: 0.40 at 1 %, 0.70 at 100 %."""
    return 0.8 - 0.1 * np.asarray(label_frac, dtype=np.float64) ** -0.3


@dataclass(frozen=True)
class Truth:
    """What a simulated study is drawn from."""

    share: float = 1.0
    """Annotations that U-REC needs over those that U-Net has, for the same score."""
    num_seeds: int = 5
    fractions: tuple[float, ...] = FRACTIONS
    seed_sd: float = 0.02
    """What a seed does to both models at all fractions."""
    noise_sd: float = 0.015
    """What is each trial's own."""

    @property
    def gain(self) -> NDArray[np.float64]:
        """True U-REC minus U-Net at each fraction."""
        fracs = np.array(self.fractions)
        return curve(fracs / self.share) - curve(fracs)

    def draw(self, generator: np.random.Generator) -> ScoreGrid:
        """Scores of one study."""
        fracs = np.array(self.fractions)
        shape = (self.num_seeds, len(fracs))
        common = generator.normal(0.0, self.seed_sd, (self.num_seeds, 1))
        return ScoreGrid(
            label_frac=fracs,
            seeds=tuple(range(self.num_seeds)),
            scores={
                variant: expected + common + generator.normal(0.0, self.noise_sd, shape)
                for variant, expected in (
                    ("unet", curve(fracs)),
                    ("urec", curve(fracs / self.share)),
                )
            },
            num_incomplete=0,
        )

    def answer(self, generator: np.random.Generator) -> Answer:
        """What is said of one study."""
        grid = self.draw(generator)
        rows = [
            (variant, frac, seed, scores[seed, index])
            for variant, scores in grid.scores.items()
            for seed in grid.seeds
            for index, frac in enumerate(self.fractions)
        ]
        columns = ["variant", "label_frac", "seed", "mean_f1"]
        frame = pd.DataFrame(rows, columns=columns)
        return compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))


CLASSES = ("ground", "roof", "tree", "car")


def tile_counts(
    num_seeds: int,
    num_tiles: int,
    generator: np.random.Generator,
    *,
    seed_sd: float = 0.15,
    tile_sd: float = 0.4,
    both_sd: float = 0.2,
) -> NDArray[np.float64]:
    """Confusion counts of one arm (S, T, K, K): easy and hard tiles, lucky and unlucky seeds."""
    num_classes = len(CLASSES)
    shares = generator.dirichlet(15.0 * np.array([0.40, 0.30, 0.25, 0.05]), num_tiles)
    logit = (
        1.2
        + generator.normal(0.0, tile_sd, (1, num_tiles))
        + generator.normal(0.0, seed_sd, (num_seeds, 1))
        + generator.normal(0.0, both_sd, (num_seeds, num_tiles))
    )
    skill = 1.0 / (1.0 + np.exp(-logit))
    counts = np.zeros((num_seeds, num_tiles, num_classes, num_classes))
    for index in range(num_classes):
        num_px = generator.binomial(2000, shares[:, index])
        chance = skill * (0.8 if index == num_classes - 1 else 1.0)
        right = generator.binomial(num_px, chance)
        counts[:, :, index, :] = ((num_px - right) / (num_classes - 1))[..., None]
        counts[:, :, index, index] = right
    return counts


def mean_f1(counts: Values) -> Values:
    return class_mean(f1_per_class(counts), has_reference(counts), CLASSES)


def covered(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_intervals_over_seeds_cover_the_true_mean(num_seeds: int) -> None:
    generator = np.random.default_rng(num_seeds)
    drawn = [generator.normal(0.7, 0.02, num_seeds) for _ in range(NUM_STUDIES)]
    assert 0.92 <= covered([t_interval(values) for values in drawn], 0.7) <= 0.98
    middle = [bootstrap_interval(v, interquartile_mean, generator, 300) for v in drawn]
    assert 0.92 <= covered(middle, 0.7) <= 0.98


@pytest.mark.parametrize(("num_seeds", "num_tiles"), [(3, 6), (5, 17)])
def test_intervals_over_seeds_and_tiles_cover_other_seeds_on_other_tiles(
    num_seeds: int, num_tiles: int
) -> None:
    generator = np.random.default_rng(num_tiles)
    many = tile_counts(300, 1500, generator).sum(axis=1)
    truth = {
        "oa": float(overall_accuracy(many).mean()),
        "mean_f1": float(mean_f1(many).mean()),
    }
    found: dict[str, list[Interval]] = {"oa": [], "mean_f1": []}
    over_seeds_alone = []
    for _ in range(NUM_STUDIES):
        counts = tile_counts(num_seeds, num_tiles, generator)
        pooled = np.tensordot(draw_tiles(num_tiles, generator), counts, axes=([1], [1]))
        for measure, score in (
            ("oa", overall_accuracy),
            ("mean_f1", mean_f1),
        ):
            by_seed = score(counts.sum(axis=1))
            found[measure].append(seeds_and_tiles_interval(by_seed, score(pooled), num_tiles))
            over_seeds_alone.append(t_interval(by_seed))
    for measure, intervals in found.items():
        assert 0.92 <= covered(intervals, truth[measure]) <= 0.98
    # the reason why there are two kinds: over seeds alone says little about other places
    assert covered(over_seeds_alone[::2], truth["oa"]) < 0.9


@pytest.mark.parametrize(("num_tiles", "on_tiles"), [(8, 0.6), (17, 0.3)])
def test_intervals_cover_where_a_class_lies_on_few_tiles(num_tiles: int, on_tiles: float) -> None:
    """Such intervals covered 47 to 84 %: resamples without the class had another mean."""
    generator = np.random.default_rng(num_tiles)

    def draw(num_seeds: int, num: int) -> Values:
        counts = tile_counts(num_seeds, num, generator)
        counts[:, generator.random(num) >= on_tiles, -1] = 0.0
        return counts

    truth = float(mean_f1(draw(100, 1500).sum(axis=1)).mean())
    hits = []
    for _ in range(NUM_STUDIES):
        counts = draw(4, num_tiles)
        parts = [
            _parts("mean_f1", one, TrialConfusion(classes=CLASSES, exclude_from_mean=(), tiles=()))
            for one in counts
        ]
        if parts[0].rare or len(parts[0].worth) < len(CLASSES):
            continue  # withheld, or another mean
        drawn = draw_tiles(num_tiles, generator)
        by_seed = mean_f1(counts.sum(axis=1))
        resampled = by_seed + drawn @ np.stack([one.moves for one in parts], axis=1)
        worth = min(float(one.worth.min()) for one in parts)
        interval = seeds_and_tiles_interval(by_seed, resampled, worth)
        hits.append(interval.low <= truth <= interval.high)
    assert len(hits) > NUM_STUDIES // 4
    assert np.mean(hits) >= 0.93


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("fractions", [FRACTIONS, (0.01, 0.1, 1.0)])
def test_differences_of_areas_recover_the_truth(share: float, fractions: tuple[float, ...]) -> None:
    truth = Truth(share=share, fractions=fractions)
    generator = np.random.default_rng(1)
    gained = float(area_under_curve(np.array(fractions), truth.gain))
    areas = []
    for _ in range(NUM_STUDIES):
        grid = truth.draw(generator)
        differences = grid.scores["urec"] - grid.scores["unet"]
        areas.append(t_interval(area_under_curve(grid.fractions, differences)))
    assert 0.92 <= covered(areas, gained) <= 0.98


@pytest.mark.parametrize(
    ("num_seeds", "fractions"), [(6, (1.0,)), (7, (0.01, 0.1, 1.0)), (9, FRACTIONS)]
)
def test_equal_curves_give_no_difference_in_19_of_20_studies(
    num_seeds: int, fractions: tuple[float, ...]
) -> None:
    truth = Truth(num_seeds=num_seeds, fractions=fractions)
    generator = np.random.default_rng(num_seeds)
    num_false, num_studies = 0, NUM_STUDIES // 2  # each is told in words, which takes long
    for _ in range(num_studies):
        answer = truth.answer(generator)
        text = " ".join(findings(answer))
        claims = any(words in text for words in ("scores higher", "scores lower", "for the same"))
        assert claims == any(
            one.is_shown for one in (*answer.area_differences, *answer.main_differences)
        )
        num_false += claims
    assert num_false / num_studies <= 0.05


def test_no_seed_count_below_the_needed_ever_shows_a_difference() -> None:
    truth = Truth(share=0.1, num_seeds=5, noise_sd=0.0001)
    answer = truth.answer(np.random.default_rng(0))
    assert all(math.isnan(one.p_adjusted) for one in answer.main_differences)
    assert "No difference can be shown by 5 paired seeds" in findings(answer)[1]


def test_a_large_true_difference_is_shown() -> None:
    truth = Truth(share=0.4, num_seeds=10)
    answer = truth.answer(np.random.default_rng(0))
    first, second = (text.replace("\N{NO-BREAK SPACE}", " ") for text in findings(answer))
    assert first.startswith("U-REC needs fewer labels than U-Net for the same test mean F1: ")
    assert "scores higher than U-Net in test mean F1 at 1 %" in second


def test_chance_of_improvement_is_covered() -> None:
    generator = np.random.default_rng(8)
    hits = []
    for _ in range(NUM_STUDIES):
        gained = generator.normal(0.01, 0.0118825, 10)  # above zero with chance 0.8
        _, _, low, high = share_higher(gained.tolist())
        hits.append(low <= 0.8 <= high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_paired_differences_cover_the_true_gain() -> None:
    truth = Truth(share=0.6, num_seeds=5)
    generator = np.random.default_rng(9)
    found: dict[float, list[Interval]] = {frac: [] for frac in FRACTIONS}
    for _ in range(NUM_STUDIES):
        grid = truth.draw(generator)
        for frac, pairs in zip(
            FRACTIONS, (grid.scores["urec"] - grid.scores["unet"]).T, strict=True
        ):
            found[frac].append(t_interval(pairs))
    for frac, gain in zip(FRACTIONS, truth.gain.tolist(), strict=True):
        assert 0.92 <= covered(found[frac], gain) <= 0.98


def test_the_curve_is_what_the_docstring_says() -> None:
    assert curve(np.array([0.01, 1.0])) == pytest.approx([0.402, 0.7], abs=0.001)
