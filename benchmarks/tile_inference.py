"""Inference of a tile by U-REC against a loop over windows in the manner of the published code.

`python benchmarks/tile_inference.py [--side 768] [--width 32] [--batch 14] [--device cuda]`

Windows of 256 px at step 128. The reference takes one window after the other: float64 image / 255,
both branches, logits added in numpy. The product is `evaluate_tile`, as trials use it. Between them
stand candidates that each take one step further. All give the class of every pixel, in processes of
their own and in turns; the network has been trained a little, so that classes mix.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from blob_trials import (
    NUM_CLASSES,
    TRIAL_VARIABLES,
    blob_tile,
    enter_trial_process,
    run_trial,
    training_data,
    trial_config,
)
from numpy.typing import NDArray
from own_process import OwnProcess
from peak_rates import lone_convolution_gflops
from timing import (
    Ratio,
    add_common_options,
    figures_table,
    markdown,
    measure_in_turns,
    ratios_table,
    surroundings,
    surroundings_line,
    write_json,
)
from torch import nn

from trainables.evaluation.inference import evaluate_tile, predict_logits
from trainables.networks.build import build_network
from trainables.settings.precision import has_bf16

_WINDOW_PX, _STEP_PX = 256, 128
_REFERENCE = "reference"
_PRODUCT = "product (evaluate_tile)"
_BF16 = "product in bf16"
_CANDIDATES = {
    _REFERENCE: "both_branches",
    "without reconstruction": "segmentation_alone",
    "also in channels-last": "channels_last",
    "also in batches (predict_logits)": "batched",
    _PRODUCT: "evaluated",
    _BF16: "evaluated_in_bf16",
}
_GOALS = {_PRODUCT: 2.5, _BF16: 4.0}
_EQUAL_GOALS = {_BF16: 0.999}
"""Least share of pixels with the class of the reference; 1 for all others."""
_TILE_SEED = 100
"""None of the training tiles'."""


class Inference:
    """A trained network and one tile."""

    def __init__(self, weights: Path, options: argparse.Namespace, method: str) -> None:
        if method.startswith("evaluated"):  # the others have nothing of a trial's process
            enter_trial_process(options.threads)
        elif options.threads is not None:
            torch.set_num_threads(options.threads)
        self._tile = blob_tile("tile", options.side, _TILE_SEED)
        self._device = torch.device(options.device)
        network = build_network("urec", num_classes=NUM_CLASSES, width=options.width)
        network.load_state_dict(torch.load(weights, weights_only=True))
        in_torch_s_layout = method in ("both_branches", "segmentation_alone")
        layout = torch.contiguous_format if in_torch_s_layout else torch.channels_last
        self._network = network.to(self._device, memory_format=layout).eval()  # type: ignore[call-overload]
        self._windows: dict[str, Any] = {
            "window_px": _WINDOW_PX,
            "step_px": _STEP_PX,
            "batch_size": options.batch,
            "device": self._device,
        }
        self._predict: Callable[[], NDArray[np.integer[Any]]] = getattr(self, f"_{method}")

    def seconds(self) -> float:
        """Wall seconds from the tile to its classes, which lie in memory."""
        start = time.perf_counter()
        self._classes = self._predict()
        return time.perf_counter() - start

    def classes(self) -> NDArray[np.uint8]:
        """Of every pixel (H, W), as predicted last."""
        return self._classes.astype(np.uint8)

    def where_the_time_goes(self) -> str:
        """Share and rate of the convolutions, by torch's profiler, and what one alone reaches."""
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, with_flops=True) as profiler:
            self._predict()
        averages = profiler.key_averages()
        total_us = sum(one.self_cpu_time_total for one in averages)
        taken_us = sum(one.self_cpu_time_total for one in averages if "convolution" in one.key)
        gflop = sum(one.flops for one in averages if one.key == "aten::conv2d") / 1e9
        return (
            f"convolutions: {taken_us / total_us:.0%} of the product's time, at "
            f"{gflop / taken_us * 1e6:.0f} GFLOP/s; one of 128 channels alone, again and again: "
            f"{lone_convolution_gflops():.0f} GFLOP/s"
        )

    def _both_branches(self) -> NDArray[np.integer[Any]]:
        return self._window_by_window(lambda images: self._network(images)[0])

    def _segmentation_alone(self) -> NDArray[np.integer[Any]]:
        return self._window_by_window(self._network.segment)

    def _channels_last(self) -> NDArray[np.integer[Any]]:
        return self._window_by_window(self._network.segment)

    def _batched(self) -> NDArray[np.integer[Any]]:
        logits = predict_logits(self._network, self._tile.image, **self._windows)
        return logits.argmax(dim=0).cpu().numpy()

    def _evaluated(self) -> NDArray[np.integer[Any]]:
        classes = np.empty(self._tile.mask.shape, dtype=np.uint8)
        references = {"full": self._tile.mask}
        evaluate_tile(
            self._network,
            self._tile.image,
            references,
            NUM_CLASSES,
            predicted=classes,
            **self._windows,
        )
        return classes

    def _evaluated_in_bf16(self) -> NDArray[np.integer[Any]]:
        with torch.autocast(self._device.type, torch.bfloat16):
            return self._evaluated()

    def _window_by_window(
        self, segment: Callable[[torch.Tensor], torch.Tensor]
    ) -> NDArray[np.integer[Any]]:
        image = self._tile.image.transpose(1, 2, 0)
        height, width = image.shape[:2]
        total = np.zeros((NUM_CLASSES, height, width))
        with torch.no_grad():
            for top in _starts(height):
                for left in _starts(width):
                    place = np.s_[top : top + _WINDOW_PX, left : left + _WINDOW_PX]
                    window = (image[place] / 255.0).transpose(2, 0, 1)[None]
                    logits = segment(torch.from_numpy(window).float().to(self._device))
                    total[:, *place] += logits[0].cpu().numpy()
        return total.argmax(axis=0)


def _starts(length_px: int) -> list[int]:
    """First row or column of every window; the last one ends at the edge."""
    last = length_px - _WINDOW_PX
    return [*range(0, last, _STEP_PX), last]


def trained_network(options: argparse.Namespace) -> nn.Module:
    """U-REC after some steps on small patches of other tiles."""
    config = trial_config(
        width=options.width,
        patch_px=64,
        sampling="random",
        batch_size=8,
        steps=options.training_steps,
        lr=3e-3,
    )
    enter_trial_process(options.threads)
    return run_trial(config, training_data(2, 512), torch.device(options.device)).model


def main() -> None:
    """Measure and print."""
    options = _parse()
    before = surroundings()
    print(surroundings_line(before), flush=True)
    megapixels = options.side**2 / 1e6
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes:
        weights = Path(folder) / "weights.pt"
        torch.save(trained_network(options).cpu().state_dict(), weights)
        asked = {
            name: processes.enter_context(
                OwnProcess(
                    Inference,
                    weights,
                    options,
                    method,
                    variables=TRIAL_VARIABLES if name in _GOALS else None,
                )
            ).ask
            for name, method in _CANDIDATES.items()
            if name != _BF16 or has_bf16(torch.device(options.device))
        }
        runs = {name: partial(ask, "seconds") for name, ask in asked.items()}
        seconds = measure_in_turns(runs, rounds=options.rounds)
        classes = {name: ask("classes") for name, ask in asked.items()}
        reason = asked[_PRODUCT]("where_the_time_goes") if options.device == "cpu" else ""
    rates = {name: [megapixels / value for value in of] for name, of in seconds.items()}
    ratios = [Ratio(over=name, under=_REFERENCE, goal=_GOALS.get(name)) for name in list(rates)[1:]]
    print(f"U-REC, width {options.width}, tile of {options.side} px, {options.rounds} rounds")
    print("\n" + figures_table(rates, "Mpx per second"))
    print("\n" + ratios_table(rates, ratios))
    differing = _print_classes(classes)
    print(f"\n{reason}")
    write_json(
        options.json, before, rates, ratios=ratios, unit="Mpx per second", differing_px=differing
    )


def _print_classes(classes: dict[str, NDArray[np.uint8]]) -> dict[str, int]:
    """Pixels of every candidate whose class is not the reference's."""
    reference = classes[_REFERENCE]
    differing = {name: int((found != reference).sum()) for name, found in classes.items()}
    shares = np.bincount(reference.ravel(), minlength=NUM_CLASSES) / reference.size
    print("\nclass shares of the reference: " + ", ".join(f"{share:.1%}" for share in shares))
    rows = []
    for name, num in differing.items():
        goal, equal = _EQUAL_GOALS.get(name, 1.0), 1.0 - num / reference.size
        rows.append(
            [name, f"{num:,}", f"{equal:.3%}", f"{goal:.1%}", "yes" if equal >= goal else "no"]
        )
    header = ["candidate", f"other class, of {reference.size:,} px", "equal", "goal", "reached"]
    print("\n" + markdown(header, rows[1:]))
    return differing


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=768, help="of the tile, px")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=14, help="windows at once")
    parser.add_argument("--threads", type=int, help="default: torch's own number")
    parser.add_argument("--training-steps", type=int, default=40, help="before the inference")
    add_common_options(parser, rounds=3)
    options = parser.parse_args()
    if options.side < _WINDOW_PX:
        parser.error(f"--side must be at least {_WINDOW_PX}, got {options.side}")
    return options


if __name__ == "__main__":
    main()
