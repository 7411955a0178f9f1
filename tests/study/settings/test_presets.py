"""The documented table of presets is the code's."""

from __future__ import annotations

from pathlib import Path

import yaml

from study.settings.presets import PRESETS
from trainables.settings.config import training_fields

_TABLE = Path(__file__).parents[3] / "docs" / "presets.md"


def _documented() -> dict[str, dict[str, object]]:
    """Values by preset and field, as the table states them."""
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in _TABLE.read_text().splitlines()
        if line.startswith("|") and not line.startswith("| ---")
    ]
    names = rows[0][1:]
    return {
        name: {row[0]: yaml.safe_load(row[column]) for row in rows[1:]}
        for column, name in enumerate(names, start=1)
    }


def test_documented_presets_are_the_presets() -> None:
    documented = _documented()
    assert list(documented) == list(PRESETS)
    for name, preset in PRESETS.items():
        values: dict[str, object] = {f: getattr(preset.training, f) for f in training_fields()}
        values |= {"search trials per arm": preset.trials, "confirmation seeds": preset.seeds}
        assert documented[name] == values, name
