"""Rules between options, each alone; through the configuration they are tested in test_config."""

import pytest

from contract.methods import METHODS
from contract.space import parse_compare, parse_space
from contract.variants import make_variants
from study.settings.combinations import check_batches, check_grid, check_variant_names
from trainables.errors import ConfigError
from trainables.settings.config import TrainingConfig

SMALL = TrainingConfig(batch_size=8, patch_px=32, stride_px=32)


def test_two_variants_of_one_name():
    variants = make_variants(tuple(METHODS.values()), parse_compare("w1=0/0.1"))
    check_variant_names(variants)
    with pytest.raises(ConfigError, match="got 'unet' twice; change the name of a row"):
        check_variant_names([*variants, variants[0]])


def test_batches_that_workers_cannot_share():
    check_batches(SMALL, [SMALL], 4)
    with pytest.raises(ConfigError, match="patch_px must be more than 32"):
        check_batches(SMALL, [SMALL], 5)
    few = TrainingConfig(batch_size=3)
    with pytest.raises(ConfigError, match="--workers must be at most the 3 patches"):
        check_batches(SMALL, [few], 4)


def test_a_grid_over_a_range():
    check_grid("grid", parse_space("lr=0.1/0.2"))
    check_grid("tpe", parse_space("lr"))
    with pytest.raises(ConfigError, match="got a range for lr; write --space lr=A/B/C"):
        check_grid("grid", parse_space("lr"))
