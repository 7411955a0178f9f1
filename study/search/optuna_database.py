"""`optuna.db`: what the searches tried and found, for tools that show an Optuna database.

The trials' folders are the truth. From here only what they do not say is read: the values of
trials that an earlier version began, which wrote them nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.machines.databases import create_optuna_database, remove_journals
from trainables.storage.folder_files import set_aside


class OptunaDatabase:
    """The database of a study; a damaged one makes way for a new one."""

    def __init__(self, path: Path) -> None:
        """Open the database, or create it.

        Args:
            path: The file.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.notes: list[str] = []
        """What a person must know of the file, a line each."""
        if path.exists() and not _is_whole(path):
            remove_journals(path)
            kept = set_aside(path)
            self.notes.append(
                f"{path} was damaged and is kept as {kept.name}; it is written anew from the "
                "trials' folders"
            )
        self._storage = optuna.storages.RDBStorage(create_optuna_database(path.resolve()))

    def values(self, arm: str) -> dict[int, Mapping[str, Any]]:
        """Hyperparameters of the trials of an arm, by number."""
        study_id = self._find_study(arm)
        if study_id is None:
            return {}
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        return {one.number: one.params for one in trials}

    def write(self, arm: str, trials: Sequence[FrozenTrial]) -> ArmRecord:
        """Make the database agree with the trials of an arm, and keep its record open.

        Args:
            arm: Name of the arm.
            trials: All of its trials so far, in the order of their numbers.
        """
        study_id = self._find_study(arm)
        if study_id is not None:
            known = self._storage.get_all_trials(study_id, deepcopy=False)
            if list(map(_summary, known)) == list(map(_summary, trials)):
                return ArmRecord(self._storage, study_id, [one._trial_id for one in known])
            self._storage.delete_study(study_id)
        study_id = self._storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], arm)
        record = ArmRecord(self._storage, study_id, [])
        for trial in trials:
            record.add(trial)
        return record

    def _find_study(self, arm: str) -> int | None:
        try:
            return self._storage.get_study_id_from_name(arm)
        except KeyError:
            return None


class ArmRecord:
    """The trials of one arm in the database."""

    def __init__(self, storage: optuna.storages.RDBStorage, study_id: int, ids: list[int]) -> None:
        """Write to a study of Optuna's.

        Args:
            storage: The database.
            study_id: Optuna's number of the study.
            ids: Optuna's numbers of its trials, in their order.
        """
        self._storage = storage
        self._study_id = study_id
        self._ids = ids

    def add(self, trial: FrozenTrial) -> None:
        """Write a new trial, values and all, or nothing of it."""
        self._ids.append(self._storage.create_new_trial(self._study_id, trial))

    def add_validation(self, number: int, validation: int, score: float) -> None:
        """Write a validation of a trial."""
        self._storage.set_trial_intermediate_value(self._ids[number], validation, score)

    def end(self, trial: FrozenTrial) -> None:
        """Write how a trial ended."""
        self._storage.set_trial_state_values(self._ids[trial.number], trial.state, trial.values)


def _summary(trial: FrozenTrial) -> tuple[TrialState, Sequence[float] | None, Mapping[str, Any]]:
    return trial.state, trial.values, trial.params


def _is_whole(path: Path) -> bool:
    """Whether a file is a database that holds the tables of Optuna, and is sound."""
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            (answer,) = database.execute("PRAGMA quick_check").fetchone()
            database.execute("SELECT count(*) FROM trial_params")
            return bool(answer == "ok")
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return False
        raise OSError(f"{path} must be a database that can be read, got: {error}") from error
    except sqlite3.DatabaseError:
        return False
