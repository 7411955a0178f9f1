"""What a trial learns from: one file for each use of pixels that are not annotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trainables.methods.objective import Objective
from trainables.methods.pseudo_labels import PseudoLabels
from trainables.methods.reconstruction import Reconstruction
from trainables.methods.reconstruction_and_labels import ReconstructionAndLabels
from trainables.methods.supervised import Supervised

METHODS: Final[Mapping[str, Objective]] = {
    "nothing": Supervised(),
    "reconstruction": Reconstruction(),
    "pseudo-labels": PseudoLabels(),
    "reconstruction-and-pseudo-labels": ReconstructionAndLabels(),
}
"""Every use of unannotated pixels, by `contract.methods.Method.unannotated`."""
