"""What trials had in common, as the report says it."""

from types import SimpleNamespace
from typing import Any

from analysis.reading.styles import styles_of
from analysis.tables.costs.equal import equal_fact, equal_note
from contract.methods import METHODS
from contract.space import parse_compare
from contract.variants import make_variants

COMPUTE = {
    "flop": 50_300_000_000,
    "variants": [
        {"name": "urec-w1-0.1", "steps": 30, "flop_per_step": 1_676_666_667},
        {"name": "unet", "steps": 2067, "flop_per_step": 24_335_000},
    ],
}


def record_of(**document: Any) -> Any:
    variants = make_variants(list(METHODS.values()), parse_compare("w1=0/0.1"))
    return SimpleNamespace(info=SimpleNamespace(document=document), styles=styles_of(variants))


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_equal_steps() -> None:
    record = record_of(config={"steps": 3000, "equal": "steps"})
    assert equal_fact(record) == "equal steps, 3,000 a trial"
    assert equal_note(record) == "Every trial took 3,000 optimiser steps."


def test_equal_compute_says_how_many_steps_of_each_variant() -> None:
    record = record_of(config={"steps": 30, "equal": "compute"}, compute=COMPUTE)
    assert plain(equal_fact(record)) == "equal compute, 50.3 GFLOP a trial"
    assert plain(equal_note(record)) == (
        "Every trial spent 50.3 GFLOP in training, forward and backward, as the costliest variant "
        "takes in 30 steps: U-REC, w1 0.1 30 steps of 1.68 GFLOP and U-Net 2,067 steps of "
        "24.3 MFLOP. Validation and test come on top."
    )


def test_an_older_record_says_nothing() -> None:
    assert equal_fact(record_of()) == equal_note(record_of(config={})) == ""
