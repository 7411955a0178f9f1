"""U-REC's training step against a plain loop in the manner of the published code.

`python benchmarks/training_step.py [--device cuda] [--batch 4] [--width 32] [--losses 50]`

Published widths, 256 x 256 patches, full annotation, no augmentation. The reference and the
product, in fp32 and, where the device has it, in bf16, each in a process of its own, take some
steps in turns. Printed are patches per second and ratios; also the product's step on one fixed
batch against the step that draws its patches. On a card: arithmetic per second, its share of the
card's measured bf16 matrix products, and the time of the paper's epoch.

`--losses N` times nothing: it trains reference and product N steps in fp32 on the same patches and
prints how far their losses differ (`loss_comparison.py`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from blob_trials import TRIAL_VARIABLES
from loss_comparison import LOSS_GOAL, compare_losses
from own_process import OwnProcess
from peak_rates import matmul_tflops
from timing import (
    Figures,
    Ratio,
    add_common_options,
    cpu_has_bf16,
    figures_table,
    instruction_set,
    markdown,
    measure_in_turns,
    ratios_table,
    spread,
    surroundings,
    surroundings_line,
    write_json,
)
from training_candidates import Product, Reference, Setting

_GFLOP_PER_PATCH = 136.2
"""Forward and backward of one 256 x 256 patch at width 32 (`docs/protocol.md`, models)."""
_EPOCH_PATCHES = 13_800
_REFERENCE, _FP32, _BF16 = "reference fp32", "product fp32", "product bf16"
_FIXED = ", one fixed batch"
_GOALS = {_FP32: 1.5, _BF16: 2.8}
_AVX2_GOAL, _SMALL_GOAL, _SMALL_WIDTH = 1.4, 1.6, 8
_INPUT_GOAL = 0.97


def main() -> None:
    """Measure and print."""
    options = _parse()
    before = surroundings()
    if options.device == "cuda":
        before["gpu"] = torch.cuda.get_device_name()
    print(surroundings_line(before), before.get("gpu", ""), flush=True)
    setting = Setting(
        width=options.width,
        patch_px=options.patch_px,
        stride_px=min(64, options.patch_px),
        batch_size=options.batch,
        num_tiles=options.tiles,
        side_px=options.side,
        num_threads=options.threads,
        device=options.device,
    )
    print(
        f"U-REC, width {setting.width}, batches of {setting.batch_size} patches of "
        f"{setting.patch_px} px",
        flush=True,
    )
    if options.losses:
        _print_losses(setting, options, before)
    else:
        _compare_speed(setting, options, before)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    has_cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if has_cuda else "cpu")
    parser.add_argument("--batch", type=int, help="default: 4, on a card 14 as published")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--patch-px", type=int, default=256)
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--side", type=int, default=1024, help="of a tile, px")
    parser.add_argument("--steps", type=int, help="in a round; default: 2, on a card 20")
    parser.add_argument("--threads", type=int, help="default: torch's own number")
    parser.add_argument("--losses", type=int, metavar="N", help="compare N losses, time nothing")
    add_common_options(parser, rounds=5)
    options = parser.parse_args()
    if options.losses is not None and options.losses < 2:
        parser.error(f"--losses must be at least 2, got {options.losses}")
    on_card = options.device == "cuda"
    options.batch = options.batch or (14 if on_card else 4)
    options.steps = options.steps or (20 if on_card else 2)
    return options


def _compare_speed(
    setting: Setting, options: argparse.Namespace, before: dict[str, object]
) -> None:
    figures = _measure(setting, options)
    patches = options.steps * setting.batch_size
    rates = {name: [patches / value for value in of] for name, of in figures.items()}
    ratios = [
        *(
            Ratio(over=name, under=_REFERENCE, goal=goal)
            for name, goal in _goals(setting).items()
            if name in rates
        ),
        *(
            Ratio(over=name, under=name + _FIXED, goal=_INPUT_GOAL)
            for name in _GOALS
            if name in rates
        ),
    ]
    print(f"{options.rounds} rounds of {options.steps} steps")
    print("\n" + figures_table(rates, "patches per second"))
    print("\n" + ratios_table(rates, ratios))
    more: dict[str, object] = {"unit": "patches per second", "setting": vars(setting)}
    if setting.device == "cuda":
        more["card"] = _print_card(setting, rates)
    write_json(options.json, before, rates, ratios=ratios, **more)


def _goals(setting: Setting) -> dict[str, float]:
    """By how much each precision is to be faster than the plain loop, here."""
    if setting.width <= _SMALL_WIDTH:
        return {_FP32: _SMALL_GOAL}
    is_avx2 = "AVX-512" not in instruction_set() or "ONEDNN_MAX_CPU_ISA" in os.environ
    return _GOALS | ({_FP32: _AVX2_GOAL} if setting.device == "cpu" and is_avx2 else {})


def _measure(setting: Setting, options: argparse.Namespace) -> Figures:
    """Seconds of a round of every candidate."""
    precisions = {_FP32: "fp32", _BF16: "bf16"}
    has_bf16 = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if setting.device == "cuda"
        else cpu_has_bf16()
    )
    if not has_bf16:
        del precisions[_BF16]
        print("bf16 is not measured: the device has none")
    with ExitStack() as processes:
        steps = range((options.rounds + 1) * options.steps)
        reference = processes.enter_context(OwnProcess(Reference, setting, steps))
        candidates: dict[str, Callable[[], float]] = {
            _REFERENCE: partial(reference.ask, "seconds", options.steps)
        }
        for name, precision in precisions.items():
            product = processes.enter_context(
                OwnProcess(Product, setting, precision, variables=TRIAL_VARIABLES)
            )
            assert product.ask("is_bf16") == (precision == "bf16")
            candidates[name] = partial(product.ask, "seconds", options.steps)
            candidates[name + _FIXED] = partial(product.ask, "seconds_fixed", options.steps)
        return measure_in_turns(candidates, rounds=options.rounds)


def _print_card(setting: Setting, rates: Figures) -> dict[str, object]:
    """Arithmetic per second and the time of an epoch, from the medians."""
    peak = matmul_tflops(setting.device)
    is_published = (setting.width, setting.patch_px) == (32, 256)
    rows, found = [], {}
    for name, values in rates.items():
        rate = spread(values)[1]
        tflops = rate * _GFLOP_PER_PATCH / 1e3 if is_published else None
        epoch_s = _EPOCH_PATCHES / rate
        found[name] = {"tflops": tflops, "epoch_s": epoch_s}
        counted = ["", ""] if tflops is None else [f"{tflops:.1f}", f"{tflops / peak:.1%}"]
        rows.append([name, *counted, f"{epoch_s:.0f}"])
    epoch = f"s for {_EPOCH_PATCHES:,} patches"
    print(f"\nbf16 matrix products on this card: {peak:.0f} TFLOP/s")
    print("\n" + markdown(["candidate", "TFLOP/s", "share of those", epoch], rows))
    return {"matmul_bf16_tflops": peak, "candidates": found}


def _print_losses(setting: Setting, options: argparse.Namespace, before: dict[str, object]) -> None:
    losses, largest = compare_losses(setting, options.losses)
    rows = []
    for name, difference in largest.items():
        goal = [f"<= {LOSS_GOAL:g}", "yes" if difference <= LOSS_GOAL else "no"]
        rows.append([name, f"{difference:.1e}", *(goal if "product" in name else ["", ""])])
    header = [f"losses of {options.losses} steps", "largest relative difference", "goal", "reached"]
    print("\n" + markdown(header, rows))
    write_json(options.json, before, losses, unit="loss", largest_relative_differences=largest)
    if any(value > LOSS_GOAL for name, value in largest.items() if "same state" in name):
        raise SystemExit("losses from the same state differ by more than the goal")


if __name__ == "__main__":
    main()
