"""`analysis` imports nothing of `trainables`, so it has a copy; what it does is tested there."""

import inspect

from analysis import terminal
from trainables import terminal as original


def test_the_copy_is_the_same() -> None:
    assert inspect.getsource(terminal) == inspect.getsource(original)
