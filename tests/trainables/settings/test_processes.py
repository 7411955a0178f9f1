"""What a process does with the memory that it frees."""

import subprocess
import sys

import pytest

_CYCLES = """
import resource
import sys

import numpy as np

from trainables.settings.processes import keep_freed_memory

if sys.argv[1] == "keep":
    print(keep_freed_memory())
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.empty(2**26, dtype=np.uint8).fill(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Pages that ten blocks of 64 MiB, one after the other, ask the system for."""
    command = [sys.executable, "-c", _CYCLES, how]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if output[0] == "False":
        pytest.skip("not glibc")
    return int(output[-1])


def test_memory_that_was_freed_is_not_asked_for_again():
    assert page_faults("keep") < page_faults("leave") / 4
