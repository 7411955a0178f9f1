"""The pictures of a few confirmation trials, ready to stand in a page."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.names import BUDGETS, PICTURE, budget_stem

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.load import StudyRecord

_WIDE_PICTURE = 1.8
"""Pictures wider than this times their height get a row of their own."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The picture of one confirmation trial, inlined."""

    variant: str
    label_frac: float
    seed: int
    width_px: int
    height_px: int
    data_uri: str

    @property
    def is_wide(self) -> bool:
        """Whether it needs the width of the page."""
        return self.width_px > _WIDE_PICTURE * self.height_px


def trial_pictures(record: StudyRecord, scores: pd.DataFrame) -> list[Picture]:
    """One trial per variant at the smallest and the largest fraction, the lowest seed of each."""
    if scores.empty:
        return []
    pictures = []
    ends = sorted({float(scores["label_frac"].min()), float(scores["label_frac"].max())})
    for frac in ends:
        for variant in record.styles:
            rows = scores[(scores["label_frac"] == frac) & (scores["variant"] == variant)]
            if rows.empty:
                continue
            first = rows.sort_values("seed").iloc[0]
            content = record.artifact(str(first["trial_key"]), PICTURE)
            if content is None:
                continue
            width_px, height_px = png_size(content)
            pictures.append(
                Picture(
                    variant=variant,
                    label_frac=frac,
                    seed=int(first["seed"]),
                    width_px=width_px,
                    height_px=height_px,
                    data_uri=_data_uri(content),
                )
            )
    return pictures


@dataclass(frozen=True, kw_only=True)
class BudgetPicture:
    """Where the annotations of one budget lie on the training tiles, inlined."""

    label_frac: float
    order: str = "random"
    """Which units come first."""
    reached_frac: float
    seed: int
    width_px: int
    height_px: int
    data_uri: str


def budget_pictures(record: StudyRecord) -> list[BudgetPicture]:
    """The budgets of the first confirmation seed, one per fraction below 1 and order."""
    searched = record.info.search_seeds
    seeds = [one.seed for one in record.info.budgets if one.seed not in searched]
    pictures = []
    for budget in record.info.budgets:
        if budget.seed != min(seeds, default=None) or budget.label_frac >= 1:
            continue
        name = f"{BUDGETS}/{budget_stem(budget.seed, budget.label_frac, order=budget.order)}.png"
        content = record.study_artifact(name)
        if content is None:
            continue
        width_px, height_px = png_size(content)
        pictures.append(
            BudgetPicture(
                label_frac=budget.label_frac,
                order=budget.order,
                reached_frac=budget.reached_frac,
                seed=budget.seed,
                width_px=width_px,
                height_px=height_px,
                data_uri=_data_uri(content),
            )
        )
    return pictures


def _data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG, in px.

    Raises:
        ValueError: If content is not a PNG.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        raise ValueError(f"picture must be a PNG, got {content[:8]!r}")
    width_px, height_px = struct.unpack(">II", content[16:24])
    return int(width_px), int(height_px)
