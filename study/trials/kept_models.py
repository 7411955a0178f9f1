"""Which weights stay: one network per confirmed arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contract.names import MODEL_FILE
from study.design.arms import Arm, arm_of, confirm_seeds, confirm_trial
from study.machines.storage_sync import StorageSync
from study.settings.config import StudyConfig
from study.trials.listener import TrialListener
from trainables.trial.folder.outcomes import Outcome, has_ended, read_outcome


class KeptModels(TrialListener):
    """Removes the networks of an arm's confirmation trials but the best one's."""

    def __init__(self, config: StudyConfig, arms: Sequence[Arm], sync: StorageSync) -> None:
        """Keep one network per arm.

        Args:
            config: The study.
            arms: Its arms.
            sync: Removes networks from the storage too.
        """
        self._config = config
        self._arms = arms
        self._sync = sync

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """Compare the networks of an arm when its last confirmation trial has ended."""
        if outcome.trial.phase == "confirm":
            self._keep_best([arm for arm in self._arms if arm.name == arm_of(outcome.trial)])

    def keep_best(self) -> None:
        """Do so for every arm: an earlier session may have been lost before it could."""
        self._keep_best(self._arms)

    def kept(self) -> list[Path]:
        """Model file of every arm whose confirmation has ended."""
        files = (
            self._config.trials_folder / confirm_trial(self._config, arm, seed, {}).key / MODEL_FILE
            for arm in self._arms
            if not self._is_open(arm)
            for seed in confirm_seeds(self._config)
        )
        return [file for file in files if file.exists()]

    def _is_open(self, arm: Arm) -> bool:
        keys = [confirm_trial(self._config, arm, s, {}).key for s in confirm_seeds(self._config)]
        return not all(has_ended(self._config.trials_folder / key) for key in keys)

    def _keep_best(self, arms: Sequence[Arm]) -> None:
        for arm in arms:
            for key in keep_best_model(self._config, arm, self._config.trials_folder):
                self._sync.drop(key, MODEL_FILE)


def keep_best_model(config: StudyConfig, arm: Arm, trials: Path) -> list[str]:
    """Keep the network with the best validation score of an arm whose confirmation has ended.

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
