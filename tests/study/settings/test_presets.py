"""The documented tables of presets and parameters are the code's."""

from __future__ import annotations

from pathlib import Path

import yaml

from contract.methods import BUILT_FROM
from contract.parameters import PARAMETERS, value_text
from study.settings.config import build_config
from study.settings.presets import PRESETS
from trainables.data.scenes.georeference import tile_shape
from trainables.data.scenes.synthetic import BUILTIN_AREAS
from trainables.settings.config import training_fields

_TABLE = Path(__file__).parents[3] / "docs" / "presets.md"


def _rows(first: str) -> list[list[str]]:
    """The table whose first cell is this one."""
    (table,) = (part for part in _TABLE.read_text().split("\n\n") if part.startswith(f"| {first}"))
    lines = [line for line in table.splitlines() if not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _documented() -> dict[str, dict[str, object]]:
    """Values by preset and field, as the table states them."""
    rows = _rows("field")
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


def _built_from(name: str) -> str:
    return ", ".join(network for network, rows in BUILT_FROM.items() if name in rows)


def test_documented_parameters_are_the_parameters() -> None:
    assert _rows("parameter")[1:] == [
        [
            one.name,
            one.kind,
            one.rule,
            "/".join(map(value_text, one.levels or (f"{one.low:g}..{one.high:g}",))),
            "logarithmic" if one.log else "",
            "factor" if one.is_factor else "searched",
            ", ".join(one.unannotated or ("all",))
            + (f" (network {_built_from(one.name)})" if one.of_network else ""),
        ]
        for one in PARAMETERS.values()
    ]


def test_a_window_of_the_demo_holds_a_whole_built_in_tile() -> None:
    """A window of 256 pixels with a step of 192 took most tiles of 272 pixels four times."""
    demo = PRESETS["demo"].training
    areas = (area for group in BUILTIN_AREAS.values() for area in group)
    longest = max(max(tile_shape(area, 1024)) for area in areas)
    assert longest / demo.downsample <= demo.infer_window_px


def test_the_demo_weights_classes_for_all_its_methods_alike() -> None:
    config = build_config({"preset": "demo"})
    assert {method.name for method in config.methods} == {"urec", "unet"}
    assert {one.class_weights for one in config.trainings()} == {"sqrt_inverse"}


def test_smoke_and_compact_did_not_follow_the_demo() -> None:
    """They were written as changes of `demo`: whoever changed it changed studies of real data."""
    for name in ("smoke", "compact"):
        training = PRESETS[name].training
        windows = training.infer_window_px, training.infer_step_px
        assert (training.class_weights, windows) == ("none", (256, 192)), name
