"""Which weights stay after confirmation."""

import json

import pytest

from contract.names import MODEL_FILE, RESULT
from study.design.arms import confirm_seeds, confirm_trial, plan_arms
from study.machines.storage_sync import StorageSync
from study.trials.kept_models import KeptModels, keep_best_model
from trainables.trial.folder.outcomes import write_failed


@pytest.fixture
def confirm(make_config, tmp_path):
    """Makes the folders of an arm's confirmation trials; a score of None is a failed trial."""
    config = make_config(models=["unet"], space="label_frac=1", seeds=3)
    (arm,) = plan_arms(config)

    def make(*scores):
        for seed, score in zip(confirm_seeds(config), scores, strict=False):
            trial = confirm_trial(config, arm, seed, {})
            folder = tmp_path / trial.key
            if score is None:
                write_failed(folder, trial, [], "out of memory")
                continue
            folder.mkdir()
            left = {"trial": trial.to_plain(), "history": [], "score": score}
            (folder / RESULT).write_text(json.dumps(left))
            (folder / MODEL_FILE).write_bytes(b"weights")
        for _ in range(2):
            keep_best_model(config, arm, tmp_path)
        return sorted(file.parent.name[-2:] for file in tmp_path.glob(f"*/{MODEL_FILE}"))

    return make


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ((0.1, 0.3, 0.2), ["s2"]),
        ((0.3, 0.1, 0.2), ["s1"]),
        ((0.1, 0.2, 0.3), ["s3"]),
        ((0.3, 0.1, 0.3), ["s1"]),
        ((None, 0.1, 0.3), ["s3"]),
        ((0.2, None, None), ["s1"]),
        ((None, None, None), []),
        ((0.1, 0.3), ["s1", "s2"]),
    ],
)
def test_the_best_of_an_arm_is_kept_once_all_have_ended(confirm, scores, kept):
    assert confirm(*scores) == kept


def test_models_of_an_arm_that_is_not_confirmed_yet_are_not_published(make_config, tmp_path):
    config = make_config(models=["unet"], space="label_frac=0.1/1", seeds=2)
    done, begun = plan_arms(config)
    for arm, seeds in ((done, confirm_seeds(config)), (begun, confirm_seeds(config)[:1])):
        for seed in seeds:
            trial = confirm_trial(config, arm, seed, {})
            folder = config.trials_folder / trial.key
            folder.mkdir(parents=True)
            left = {"trial": trial.to_plain(), "history": [], "score": 0.1 * seed}
            (folder / RESULT).write_text(json.dumps(left))
            (folder / MODEL_FILE).write_bytes(b"weights")
    models = KeptModels(config, (done, begun), StorageSync(tmp_path, None))
    models.keep_best()
    (file,) = models.kept()
    assert file == config.trials_folder / "confirm-unet-f0.10-s2" / MODEL_FILE
