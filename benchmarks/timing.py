"""Measurements of several candidates in turns, their summary, and what they were taken on.

Candidates alternate (A B A B ...), so that a slower minute of the machine meets all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
_PACKAGES = ("torch", "numpy", "ray", "optuna", "mlflow", "rasterio", "scipy", "pandas")

Figures = Mapping[str, Sequence[float]]
"""What every candidate gave, one number per round, by name."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One candidate over another, and what it is to be."""

    over: str
    under: str
    goal: float | None = None
    """The least it should be; None where nothing is asked."""

    def of_medians(self, figures: Figures) -> float:
        """Median of the one over median of the other."""
        return statistics.median(figures[self.over]) / statistics.median(figures[self.under])

    def of_rounds(self, figures: Figures) -> list[float]:
        """Ratio within every round."""
        pairs = zip(figures[self.over], figures[self.under], strict=True)
        return [over / under for over, under in pairs]


def measure_in_turns(
    candidates: Mapping[str, Callable[[], float]], *, rounds: int, warm_ups: int = 1
) -> dict[str, list[float]]:
    """Call all candidates one after the other, again and again.

    Args:
        candidates: Each returns one measure, seconds or a rate.
        rounds: Turns of each that count.
        warm_ups: Turns of each before those, which do not.

    Returns:
        The measures of every candidate, one per round.
    """
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for index in range(-warm_ups, rounds):
        for name, run in candidates.items():
            value = run()
            if index >= 0:
                figures[name].append(value)
    return figures


def figures_table(figures: Figures, what: str, num_digits: int = 3) -> str:
    """Minimum, median and maximum of every candidate, in Markdown."""
    rows = [
        [name, *(f"{value:.{num_digits}g}" for value in spread(values))]
        for name, values in figures.items()
    ]
    return markdown([what, "min", "median", "max"], rows)


def ratios_table(figures: Figures, ratios: Sequence[Ratio]) -> str:
    """Ratios of medians, the range within rounds and the goals, in Markdown."""
    rows = []
    for ratio in ratios:
        middle, within = ratio.of_medians(figures), ratio.of_rounds(figures)
        goal, reached = "", ""
        if ratio.goal is not None:
            goal, reached = f">= {ratio.goal:g}", "yes" if middle >= ratio.goal else "no"
        spanned = f"{min(within):.2f} to {max(within):.2f}"
        rows.append([f"{ratio.over} / {ratio.under}", f"{middle:.2f}", spanned, goal, reached])
    return markdown(["ratio", "of medians", "within rounds", "goal", "reached"], rows)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Minimum, median, maximum."""
    return min(values), statistics.median(values), max(values)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def add_common_options(parser: argparse.ArgumentParser, *, rounds: int) -> None:
    """`--rounds` and `--json`."""
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of every candidate")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def surroundings() -> dict[str, Any]:
    """Machine, load, versions, commit, time and command line of this process."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_line("model name") or platform.machine(),
        "instructions": instruction_set(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * page_bytes / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
    }


def surroundings_line(found: Mapping[str, Any]) -> str:
    """The same in one line, to be printed above the figures."""
    return (
        f"{found['cpu']} ({found['instructions']}), {found['cores']} cores, "
        f"{found['memory_gib']} GiB, load {found['load']}; "
        f"Python {found['python']}, torch {found['versions']['torch']}; "
        f"commit {(found['commit'] or 'unknown')[:12]}"
    )


def write_json(path: Path | None, before: Mapping[str, Any], figures: Figures, **more: Any) -> None:
    """Write figures with what they were taken on; nothing where no file is asked for.

    Args:
        path: The file, or None.
        before: `surroundings()` when the measurement began.
        figures: Of all candidates.
        more: Further content by name; ratios as a list of `Ratio`.
    """
    if path is None:
        return
    ratios = [
        asdict(one) | {"of_medians": one.of_medians(figures), "of_rounds": one.of_rounds(figures)}
        for one in more.pop("ratios", ())
    ]
    document = {**before, "figures": figures, "ratios": ratios, **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def cpu_has_bf16() -> bool:
    """Whether the CPU computes in bf16; others, and one kept from it, emulate it more slowly."""
    import torch

    from trainables.settings.precision import has_bf16

    return has_bf16(torch.device("cpu"))


def instruction_set() -> str:
    """The widest vector instructions of the CPU that rates depend on, such as "AVX2, no bf16".

    Variables that keep torch or oneDNN from using all of them stand behind.
    """
    names = {"avx512f": "AVX-512", "avx2": "AVX2"}
    flags = _cpu_flags()
    widest = next((name for flag, name in names.items() if flag in flags), "no AVX2")
    bf16 = "no bf16"
    if cpu_has_bf16():
        bf16 = "bf16 in tiles (AMX)" if "amx_bf16" in flags else "bf16"
    limits = [f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ]
    return ", ".join([widest, bf16, *limits])


def _cpu_flags() -> set[str]:
    return set((_cpu_line("flags") or "").split())


def _cpu_line(name: str) -> str | None:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the working copy, with `+changes` where files differ; None outside of one."""

    def git(*words: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain", "-uno") else commit
