"""Minutes that annotating a budget takes, by the prices of `cost`."""

from __future__ import annotations

from collections.abc import Mapping

from study.design.preflight import StudyData
from study.settings.config import StudyConfig
from trainables.data.budgets.annotation import Budget
from trainables.data.budgets.effort import effort_of
from trainables.data.budgets.pixel_set import PixelSet
from trainables.errors import ConfigError


def budget_minutes(
    config: StudyConfig, data: StudyData, drawn: tuple[Budget, PixelSet]
) -> float | None:
    """Minutes for a budget of the training tiles; None for a study without prices.

    They are the sum of all prices times what they are for: annotated pixels, objects, metres of
    border between classes, tiles (`trainables.data.budgets.effort.Effort`).

    Raises:
        ConfigError: If borders have a price and the data set no size of a pixel.
    """
    if config.cost is None:
        return None
    budget, pixels = drawn
    effort = effort_of(data.tiles["train"], pixels, budget.unit)
    amounts = {"per_px": effort.px, "per_object": effort.objects, "per_tile": effort.tiles}
    return sum(
        price * amounts.get(name, 0) for name, price in config.cost.items()
    ) + _border_minutes(config, data, effort.border_px, config.cost)


def _border_minutes(
    config: StudyConfig, data: StudyData, border_px: int, cost: Mapping[str, float]
) -> float:
    price = cost.get("per_border_m", 0.0)
    if price == 0:
        return 0.0
    if data.spec.gsd_m is None:
        raise ConfigError(
            "per_border_m of cost must be left out where the data set has no gsd_m, got "
            f"{price!r}; add gsd_m to dataset.yaml"
        )
    return price * border_px * data.spec.gsd_m * config.training.downsample
