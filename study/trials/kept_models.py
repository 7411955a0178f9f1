"""Which weights stay: one network per confirmed arm."""

from __future__ import annotations

from pathlib import Path

from contract.names import MODEL_FILE
from study.design.arms import Arm, confirm_seeds, confirm_trial
from study.settings.config import StudyConfig
from trainables.trial.folder.outcomes import has_ended, read_outcome


def keep_best_model(config: StudyConfig, arm: Arm, trials: Path) -> list[str]:
    """Of an arm whose confirmation has ended, keep the network with the best validation score.

    The test scores choose nothing. Before all its repeats have ended, nothing is removed.

    Args:
        config: The study.
        arm: The arm.
        trials: Folder of the trials' folders.

    Returns:
        Keys of the trials whose network was removed.
    """
    folders = [trials / confirm_trial(config, arm, seed, {}).key for seed in confirm_seeds(config)]
    if not all(has_ended(folder) for folder in folders):
        return []
    outcomes = [read_outcome(folder) for folder in folders]
    kept = [
        (outcome.score, -number)
        for number, (folder, outcome) in enumerate(zip(folders, outcomes, strict=True))
        if outcome is not None and outcome.score is not None and (folder / MODEL_FILE).exists()
    ]
    removed = [folders[-number] for _, number in sorted(kept)[:-1]]
    for folder in removed:
        (folder / MODEL_FILE).unlink()
    return [folder.name for folder in removed]
