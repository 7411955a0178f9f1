"""Search and confirmation of an arm, without Ray, on the folders of its trials."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from contract.names import RESULT
from study.design.arms import confirm_trial, plan_arms, search_trial
from study.design.compute import flop_of_step, with_steps_of
from study.machines.databases import create_optuna_database
from study.machines.storage_sync import StorageSync
from study.search.arm_search import ArmSearch
from study.search.optuna_database import OptunaDatabase
from study.settings.config import StudyConfig, build_config
from study.settings.equal import ComputeBudget
from study.trials.study_trials import StudyTrials
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import PLAN, read_outcome, write_failed, write_pruned

Scores = Callable[[TrialConfig], float | None]


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture(scope="session")
def optuna_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with Optuna's tables; to be copied."""
    file = tmp_path_factory.mktemp("tables") / "optuna.db"
    create_optuna_database(file)
    return file


@pytest.fixture
def make_folder(optuna_database: Path, tmp_path: Path) -> Callable[[str], Path]:
    """New folders of a study."""

    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        shutil.copy(optuna_database, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def folder(make_folder: Callable[[str], Path]) -> Path:
    return make_folder("study")


def study(**given: object) -> StudyConfig:
    given = {"space": "w1,label_frac=1", "w1": 0.1, **given}
    return build_config({"name": "s", "trials": 4, "seeds": 2, **given})


class Search(ArmSearch):
    """The search of one arm, whose trials end on disk first, as in a study."""

    def __init__(
        self, config: StudyConfig, folder: Path, arm: int = 0, runs: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder / "trials"
        database = OptunaDatabase(folder / "optuna.db", dict(runs or {}).get)
        trials = StudyTrials(self.folder, StorageSync(folder, None))
        super().__init__(config, plan_arms(config)[arm], database, trials)

    def leave(self, trial: TrialConfig, score: float | None, state: str = "finished") -> None:
        """Leave an end in the folder of a trial; without a score it has failed."""
        place = self.folder / trial.key
        if state == "pruned":
            write_pruned(place, trial, [])
        elif score is None:
            write_failed(place, trial, [], "")
        else:
            place.mkdir(parents=True, exist_ok=True)
            record = {"trial": trial.to_plain(), "score": score, "history": []}
            (place / RESULT).write_text(json.dumps(record))

    def end(self, trial: TrialConfig, score: float | None, state: str = "finished") -> None:
        """End a trial, and tell the search."""
        self.leave(trial, score, state)
        outcome = read_outcome(self.folder / trial.key)
        assert outcome is not None
        self.complete(outcome)


def run_all(search: Search, score: Scores) -> list[TrialConfig]:
    """All trials of an arm, one after the other, as Tune would ask for them."""
    trials = []
    while (trial := search.next_trial()) is not None:
        trials.append(trial)
        search.end(trial, score(trial))
    return trials


def by_w1(trial: TrialConfig) -> float:
    return 1 - abs(trial.training.w1 - 0.2)


def title_of(config: StudyConfig, arm: int = 0) -> str:
    chosen = plan_arms(config)[arm]
    return f"{chosen.variant.label}, {100 * chosen.label_frac:g} %"


def in_database(config: StudyConfig, folder: Path, arm: int = 0) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(
        study_name=title_of(config, arm), storage=f"sqlite:///{folder / 'optuna.db'}"
    ).get_trials()


def test_search_then_confirmation(folder):
    config = study()
    search = Search(config, folder)
    assert search.num_left == 4 + 2
    trials = run_all(search, by_w1)
    assert [trial.key for trial in trials] == [
        "search-urec-f1.00-t000",
        "search-urec-f1.00-t001",
        "search-urec-f1.00-t002",
        "search-urec-f1.00-t003",
        "confirm-urec-f1.00-s1",
        "confirm-urec-f1.00-s2",
    ]
    assert search.num_left == 0
    best = max(trials[:4], key=by_w1)
    assert [trial.training for trial in trials[4:]] == [best.training] * 2
    assert [trial.state for trial in in_database(config, folder)] == [TrialState.COMPLETE] * 4
    assert [trial.value for trial in in_database(config, folder)] == [*map(by_w1, trials[:4])]


def test_every_arm_gets_the_same_number_of_trials(folder):
    config = study(space="lr,w1,label_frac=0.1/1")
    numbers = [len(run_all(Search(config, folder, arm=arm), by_w1)) for arm in range(4)]
    assert numbers == [6, 6, 6, 6]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_every_sampler_tries_the_papers_setting_first_and_once(folder, sampler):
    config = study(sampler=sampler, space="w1=0.01..0.5,lr=0.001..0.1,label_frac=1", lr=0.01)
    trials = run_all(Search(config, folder), by_w1)[:4]
    tried = [(trial.training.w1, trial.training.lr) for trial in trials]
    assert tried[:2] == [(0.1, 0.001), (0.1, 0.01)], "the paper's, at the edge; the preset's"
    assert len(set(tried)) == 4
    assert all(0.01 <= w1 <= 0.5 and 0.001 <= lr <= 0.1 for w1, lr in tried)


def test_gp_goes_beyond_its_random_start(folder):
    config = study(sampler="gp", trials=12)
    trials = run_all(Search(config, folder), by_w1)
    assert len({trial.training.w1 for trial in trials[:12]}) == 12


@pytest.mark.parametrize("default", [0.1, 0.3, 0.17])
def test_grid_tries_every_point_once_from_the_defaults_on(folder, default):
    """Optuna's own grid sampler tried the enqueued defaults twice and left out the first point."""
    config = study(
        sampler="grid", space="w1=0.1/0.2/0.3,lr=0.001/0.01,label_frac=1", w1=default, lr=0.01
    )
    search = Search(config, folder)
    assert search.num_left == 6 + 2
    trials = run_all(search, by_w1)
    tried = [(trial.training.w1, trial.training.lr) for trial in trials[:6]]
    nearest = min((0.1, 0.2, 0.3), key=lambda level: abs(level - default))
    assert tried[:2] == [(0.1, 0.001), (nearest, 0.01)], "lr 1e-4 lies below the levels"
    assert sorted(tried) == sorted(itertools.product((0.1, 0.2, 0.3), (0.001, 0.01)))
    assert [trial.phase for trial in trials[6:]] == ["confirm"] * 2


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_continued_search_draws_what_an_undisturbed_one_would(make_folder, sampler):
    """A sampler that began its random stream anew after a restart repeated its own values."""
    levels = {"space": "w1=0.1/0.2/0.3/0.4/0.45,label_frac=1"} if sampler == "grid" else {}
    config = study(sampler=sampler, trials=5, **levels)
    undisturbed = run_all(Search(config, make_folder("a")), by_w1)
    continued, other = [], make_folder("b")
    for _ in range(5):
        search = Search(config, other)
        trial = search.next_trial()
        assert trial is not None
        search.end(trial, by_w1(trial))
        continued.append(trial)
    assert continued == undisturbed[:5]
    assert len({trial.training.w1 for trial in continued}) == 5


def test_defaults_are_not_tried_again_after_reopening(folder):
    config = study(trials=3)
    first = Search(config, folder).next_trial()
    assert first is not None
    Search(config, folder)  # asked for nothing
    trials = run_all(Search(config, folder), by_w1)
    assert [trial.training.w1 for trial in trials[:3]].count(0.1) == 1
    assert len(in_database(config, folder)) == 3


def test_defaults_outside_the_domain_move_to_its_edge(folder):
    config = study(w1=0.9, lr=0.04, space="w1=0.01..0.5,lr=0.01/0.03/0.1,label_frac=1")
    search = Search(config, folder)
    trial = search.next_trial()
    assert trial is not None
    assert (trial.training.w1, trial.training.lr) == (0.1, 0.01), "the paper's"
    trial = search.next_trial()
    assert trial is not None
    assert (trial.training.w1, trial.training.lr) == (0.5, 0.03), "the preset's"


def test_arm_with_nothing_to_search(folder):
    """It had a search trial, of which nothing was chosen: an eighth more for eight seeds."""
    config = study()
    search = Search(config, folder, arm=1)
    assert search.num_left == 2
    trials = run_all(search, lambda trial: 0.5)
    assert [trial.phase for trial in trials] == ["confirm", "confirm"]
    assert all(trial.training == config.training for trial in trials)
    assert optuna.get_all_study_names(f"sqlite:///{folder / 'optuna.db'}") == []


@pytest.mark.parametrize("score", [0.5, None])
def test_a_search_trial_that_an_earlier_version_ran_for_nothing_is_kept(folder, score):
    config = study()
    arm = plan_arms(config)[1]
    left = search_trial(config, arm, 0, {})
    Search(config, folder, arm=1).leave(left, score, "failed" if score is None else "finished")
    search = Search(config, folder, arm=1)
    assert (search.num_left, search.num_unplanned) == (2, 1)
    assert [trial.phase for trial in run_all(search, lambda trial: 0.5)] == ["confirm", "confirm"]
    (kept,) = in_database(config, folder, arm=1)
    assert kept.value == score


def test_confirmation_waits_for_every_search_trial(folder):
    search = Search(study(trials=2), folder)
    first, second = search.next_trial(), search.next_trial()
    assert first is not None
    assert second is not None
    assert search.next_trial() is None
    search.end(second, 0.9)
    assert search.next_trial() is None
    search.end(first, 0.1)
    confirmed = search.next_trial()
    assert confirmed is not None
    assert confirmed.training == second.training
    search.end(confirmed, 0.99)
    assert len(in_database(study(), folder)) == 2, "confirmation is none of Optuna's business"


def test_earliest_of_equals_is_chosen(folder):
    trials = run_all(Search(study(), folder), lambda trial: 0.5)
    assert trials[-1].training.w1 == trials[0].training.w1 == 0.1


def test_failed_trial_is_never_complete_nor_chosen(folder):
    config = study()
    trials = run_all(
        Search(config, folder),
        lambda trial: None if trial.key.endswith("t000") else by_w1(trial),
    )
    states = [trial.state for trial in in_database(config, folder)]
    assert states == [TrialState.FAIL, *[TrialState.COMPLETE] * 3]
    assert len(trials) == 6, "a failed trial is not replaced"
    assert trials[-1].training == max(trials[1:4], key=by_w1).training


def test_without_a_search_result_nothing_is_confirmed(folder):
    config = study()
    search = Search(config, folder)
    trials = run_all(search, lambda trial: None)
    assert [trial.phase for trial in trials] == ["search"] * 4
    assert search.num_left == 0
    again = Search(config, folder)
    assert again.next_trial() is None
    assert again.num_left == 0


def test_interrupted_trial_comes_again_with_its_values(folder):
    config = study()
    before = Search(config, folder)
    first, second, third = (before.next_trial() for _ in range(3))
    assert first is not None
    before.end(first, 0.5)
    search = Search(config, folder)
    assert search.num_left == 3 + 2
    assert (search.next_trial(), search.next_trial()) == (second, third)
    rest = run_all(search, by_w1)
    assert [trial.key for trial in rest] == ["search-urec-f1.00-t003"], "second and third still run"
    assert second is not None
    assert third is not None
    search.end(second, 0.6)
    search.end(third, 0.7)
    assert [trial.phase for trial in run_all(search, by_w1)] == ["confirm"] * 2
    assert len(in_database(config, folder)) == 4


def test_a_result_that_the_search_was_not_told_of_counts(folder):
    config = study(trials=2)
    before = Search(config, folder)
    first, second = before.next_trial(), before.next_trial()
    assert first is not None
    assert second is not None
    before.end(second, 0.1)
    before.leave(first, 0.75)
    search = Search(config, folder)
    assert search.num_left == 2
    shown = in_database(config, folder)[0]
    assert (shown.state, shown.value) == (TrialState.COMPLETE, 0.75)
    trial = search.next_trial()
    assert trial is not None
    assert (trial.phase, trial.training) == ("confirm", first.training)


def test_finished_confirmation_is_not_repeated(folder):
    config = study()
    trials = run_all(Search(config, folder), by_w1)
    shutil.rmtree(folder / "trials" / trials[-1].key)
    search = Search(config, folder)
    assert search.num_left == 1
    assert [trial.key for trial in run_all(search, by_w1)] == ["confirm-urec-f1.00-s2"]


@pytest.mark.parametrize("keeps_plan", [True, False])
@pytest.mark.parametrize("keeps_database", [True, False])
@pytest.mark.parametrize("state", ["finished", "pruned", "failed"])
def test_a_search_trial_whose_end_was_lost_is_run_again_with_its_values(
    folder, state, keeps_plan, keeps_database
):
    """It was never run again, and the study ended with an untrue sentence.

    Without its plan its values are read from the database; without that too they are drawn anew,
    which for these samplers draws the same.
    """
    config = study(sampler="qmc", trials=4)
    search = Search(config, folder)
    trials = []
    for number in range(4):
        trial = search.next_trial()
        assert trial is not None
        search.end(trial, None if state == "failed" and number == 2 else by_w1(trial),
                   "pruned" if state == "pruned" and number == 2 else "finished")  # fmt: skip
        trials.append(trial)
    lost = folder / "trials" / trials[2].key
    for file in lost.iterdir():
        if file.name != PLAN or not keeps_plan:
            file.unlink()
    (lost / "checkpoint.pt").write_bytes(b"of the lost attempt")
    if not keeps_database:
        (folder / "optuna.db").unlink()
    search = Search(config, folder)
    assert search.num_left == 3
    assert bool(search.notes) == (not keeps_plan and not keeps_database)
    assert (lost / "checkpoint.pt").exists() == (not search.notes), "of other values perhaps"
    assert search.next_trial() == trials[2]
    search.end(trials[2], by_w1(trials[2]))
    assert [trial.phase for trial in run_all(search, by_w1)] == ["confirm"] * 2
    assert [one.value for one in in_database(config, folder)] == [*map(by_w1, trials)]


def test_repeats_of_an_arm_were_of_two_settings_where_a_lost_search_trial_scored_otherwise(folder):
    config = study()
    trials = run_all(Search(config, folder), by_w1)
    best = max(trials[:4], key=by_w1)
    (folder / "trials" / best.key / RESULT).unlink()
    shutil.rmtree(folder / "trials" / trials[-1].key)
    repeated, confirmed = run_all(Search(config, folder), lambda trial: 0.1)
    assert (repeated, confirmed) == (best, trials[-1])


@pytest.mark.parametrize("content", [b"", b"x" * 5000, None])
def test_a_damaged_database_is_set_aside_and_written_anew(folder, content):
    """It was a traceback, or an untrue sentence that the same command continues."""
    config = study()
    trials = run_all(Search(config, folder), by_w1)
    before = in_database(config, folder)
    for _ in range(2):
        file = folder / "optuna.db"
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        (folder / "optuna.db-wal").write_bytes(b"of the damaged one")
        search = Search(config, folder)
        assert search.num_left == 0
        after = in_database(config, folder)
        assert [(one.state, one.value, one.params) for one in after] == [
            (one.state, one.value, one.params) for one in before
        ]
    kept = sorted(file.name for file in folder.glob("optuna.db.*"))
    assert kept == ([] if content is None else ["optuna.db.damaged", "optuna.db.damaged-2"])
    assert trials[-1].training == max(trials[:4], key=by_w1).training


def test_a_study_of_an_earlier_version_goes_on_from_its_database(folder):
    """It wrote the values of a trial that had not ended nowhere else."""
    config = study(sampler="random")
    search = Search(config, folder)
    trials = [search.next_trial() for _ in range(3)]
    assert trials[0] is not None
    search.end(trials[0], 0.5)
    for file in folder.glob(f"trials/*/{PLAN}"):
        file.unlink()
    shutil.rmtree(folder / "trials" / "search-urec-f1.00-t002")  # its process never came up
    again = Search(config, folder)
    assert again.notes == []
    assert [again.next_trial(), again.next_trial()] == trials[1:]
    assert len(list(folder.glob(f"trials/*/{PLAN}"))) == 2, "from now on their folders say so"


def test_arms_do_not_see_each_other(folder):
    config = study(space="w1,label_frac=0.1/1")
    run_all(Search(config, folder, arm=0), by_w1)
    assert Search(config, folder, arm=2).num_left == 4 + 2


def test_failed_confirmation_is_repeated_and_a_failed_search_trial_is_not(folder):
    config = study(trials=2, seeds=1)
    search = Search(config, folder)
    trials = run_all(search, lambda trial: None if trial.key[-1] in "11" else by_w1(trial))
    assert [trial.key[-1] for trial in trials] == ["0", "1", "1"]
    again = run_all(Search(config, folder), by_w1)
    assert [trial.key for trial in again] == ["confirm-urec-f1.00-s1"]


def validations(trial: TrialConfig, scores: list[float], done: int = 0) -> list[dict[str, float]]:
    """Rows of the validations after the first `done`, as a trial reports them."""
    steps = trial.training.validation_steps()[: len(scores)]
    rows = [{"step": step, "val/mean_f1": score} for step, score in zip(steps, scores, strict=True)]
    return rows[done:]


def test_an_arm_of_low_scores_keeps_its_share_of_unpruned_trials(folder):
    """Successive halving over all arms would stop every trial at 1 % and none at 100 %."""
    config = study(
        models=["unet"], space="lr,label_frac=0.01/1", trials=9, num_validations=9, pruner="asha"
    )
    low, high = Search(config, folder, 0), Search(config, folder, 1)
    order = [4, 7, 1, 8, 0, 3, 6, 2, 5]
    pruned: dict[float, list[bool]] = {0.01: [], 1.0: []}
    for place in order:
        for search, offset in ((high, 0.5), (low, 0.0)):
            trial = search.next_trial()
            assert trial is not None
            score = offset + 0.05 * place
            stopped = any(
                search.should_prune(trial.key, validations(trial, [score] * num, num - 1))
                for num in range(1, 10)
            )
            pruned[trial.label_frac].append(stopped)
            search.end(trial, score, "pruned" if stopped else "finished")
    assert pruned[0.01] == pruned[1.0]
    assert 0 < pruned[0.01].count(False) < 9


@pytest.mark.parametrize(
    "restarts", ["between trials", "between validations", "between verdict and end"]
)
def test_a_continued_search_prunes_as_an_undisturbed_one(make_folder, restarts):
    """The rungs that a trial had reached were forgotten with the driver: nothing was pruned."""
    config = study(
        models=["unet"], space="lr,label_frac=1", trials=6, num_validations=9, pruner="asha"
    )

    def stops(folder: Path, restarts: str | None) -> list[int | None]:
        search, found = Search(config, folder), []
        for scores in ([0.5, 0.9], [0.6, 0.4], [0.3, 0.8], [0.55, 0.5], [0.1, 0.1], [0.7, 0.7]):
            if restarts == "between trials":
                search = Search(config, folder)
            trial = search.next_trial()
            assert trial is not None
            course = [scores[0]] * 2 + [scores[1]] * 7
            stopped = None
            for num in range(1, 10):
                if restarts == "between validations":
                    search = Search(config, folder)
                    assert search.next_trial() == trial
                if search.should_prune(trial.key, validations(trial, course[:num], num - 1)):
                    stopped = num
                    break
            if restarts == "between verdict and end" and stopped is not None:
                search = Search(config, folder)
                assert search.next_trial() == trial
                told = [  # from its first step on, or from a checkpoint before the next validation
                    search.should_prune(trial.key, validations(trial, course[:last], first))
                    for first, last in ((0, stopped - 1), (stopped - 1, stopped), (0, stopped + 1))
                ]
                assert told == [False, True, True]
            found.append(stopped)
            search.end(trial, course[-1], "finished" if stopped is None else "pruned")
        return found

    undisturbed = stops(make_folder("undisturbed"), None)
    assert len(set(undisturbed)) > 2, "trials stop at different rungs, and some do not"
    assert stops(make_folder("continued"), restarts) == undisturbed


def test_a_pruner_finds_the_validations_of_trials_that_got_more_steps(folder):
    """Their steps are not the study's: the first validation was looked for where there is none."""
    budget = ComputeBudget(flop=1, num_bands=3, num_classes=2)
    config = study(models=["unet"], space="lr,width=1..2,label_frac=1", trials=2, pruner="asha",
                   num_validations=9, steps=90, patch_px=32, stride_px=32, batch_size=2, width=2,
                   equal="compute")  # fmt: skip
    (arm,) = plan_arms(config)
    at_study_width = flop_of_step(confirm_trial(config, arm, 1, {}), 3, 2)
    config = replace(config, compute=replace(budget, flop=90 * at_study_width))
    search = Search(config, folder)
    good, bad = search.next_trial(), search.next_trial()
    assert good is not None
    assert bad is not None
    other = replace(bad, training=replace(bad.training, width=1))
    assert with_steps_of(other, config.compute).training.steps > 180
    assert not search.should_prune(good.key, validations(good, [0.5] * 9))
    search.end(good, 0.5)
    assert search.should_prune(bad.key, validations(bad, [0.4]))


def test_a_pruned_trial_is_told_with_its_intermediate_values_and_never_chosen(folder):
    config = study(models=["unet"], space="lr,label_frac=1", trials=2, num_validations=9,
                   pruner="asha")  # fmt: skip
    search = Search(config, folder)
    good, bad = search.next_trial(), search.next_trial()
    assert good is not None
    assert bad is not None
    assert not search.should_prune(good.key, validations(good, [0.5] * 9))
    search.end(good, 0.5)
    assert search.should_prune(bad.key, validations(bad, [0.4]))
    search.end(bad, None, "pruned")
    first, second = in_database(config, folder)
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    steps = good.training.validation_steps()
    assert first.intermediate_values == dict.fromkeys(steps, 0.5)
    assert second.intermediate_values == {steps[0]: 0.4}
    confirm = search.next_trial()
    assert confirm is not None
    assert confirm.training == good.training


def test_rows_told_again_after_an_interruption_are_told_once(folder):
    config = study(
        models=["unet"], space="lr,label_frac=1", trials=1, num_validations=9, pruner="asha"
    )
    trial = Search(config, folder).next_trial()
    assert trial is not None
    search = Search(config, folder)
    assert search.next_trial() == trial
    for rows in (validations(trial, [0.1, 0.2]), validations(trial, [0.1, 0.2, 0.3])):
        assert not search.should_prune(trial.key, rows)
    (told_to_optuna,) = in_database(config, folder)
    steps = trial.training.validation_steps()
    shown = zip(steps, (0.1, 0.2, 0.3), strict=False)
    assert told_to_optuna.intermediate_values == dict(shown)


LEVELS = "w1,lr=0.0001/0.0003/0.001/0.003/0.01,label_frac=1"


@pytest.mark.parametrize(
    "space", ["w1,lr,label_frac=1", LEVELS, LEVELS.replace("w1", "w1=0.1/0.3")]
)
def test_both_models_draw_the_same_lr_at_each_position(folder, space):
    config = study(sampler="random", space=space, trials=5)
    drawn = []
    for arm, model in enumerate(("urec", "unet")):
        trials = run_all(Search(config, folder, arm=arm), by_w1)[: config.trials]
        assert {trial.model for trial in trials} == {model}
        assert {trial.phase for trial in trials} == {"search"}
        drawn.append([trial.training.lr for trial in trials])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 5, "none twice"


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_no_level_is_tried_twice_while_another_is_untried(folder, sampler):
    """TPE suggested the good level again and again: the same training, bit for bit."""
    config = study(models=["unet"], sampler=sampler, trials=5, space=LEVELS.removeprefix("w1,"))
    trials = run_all(Search(config, folder), lambda trial: float(trial.training.lr == 0.01))
    assert len({trial.training.lr for trial in trials[:5]}) == 5


def test_qmc_does_not_try_the_corner_that_the_papers_setting_is(folder):
    config = study(sampler="qmc", space="w1=0.1..0.5,lr=0.0001..0.01,label_frac=1", trials=6)
    tried = [trial.training for trial in run_all(Search(config, folder), by_w1)[:6]]
    assert sum(one.lr < 1.0001e-4 and one.w1 < 0.1001 for one in tried) == 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_concurrent_suggestions_do_not_repeat_each_other(folder, sampler):
    """None has ended when the next is asked for; with few levels, samplers repeat themselves."""
    config = study(sampler=sampler, space="w1=0.01/0.1/0.3,lr=0.001/0.01,label_frac=1", trials=6)
    search = Search(config, folder)
    tried = []
    for _ in range(6):
        trial = search.next_trial()
        assert trial is not None
        tried.append((trial.training.w1, trial.training.lr))
    assert len(set(tried)) == 6


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
@pytest.mark.parametrize("cut_at", ["record", "create_new_trial"])
def test_a_trial_cut_off_while_it_was_put_on_record_gets_the_values_it_would_have_had(
    make_folder, monkeypatch, sampler, cut_at
):
    """It was trained with the preset's values instead, and stood in no table as what it was."""
    levels = "w1=0.05/0.3,lr=0.002/0.02,label_frac=1"
    config = study(sampler=sampler, space=levels if sampler == "grid" else "w1,lr,label_frac=1")

    def third(folder: Path) -> Search:
        search = Search(config, folder)
        for _ in range(2):
            trial = search.next_trial()
            assert trial is not None
            search.end(trial, by_w1(trial))
        return search

    undisturbed = third(make_folder("undisturbed")).next_trial()
    folder = make_folder("cut")
    search = third(folder)
    owner = StudyTrials if cut_at == "record" else RDBStorage

    def cut_off(self: object, *arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, cut_at, cut_off)
    with pytest.raises(KeyboardInterrupt):
        search.next_trial()
    monkeypatch.undo()
    assert len(in_database(config, folder)) == 2
    assert Search(config, folder).next_trial() == undisturbed
    assert len(in_database(config, folder)) == 3


def test_a_search_that_an_earlier_version_left_half_way_is_drawn_again(folder):
    """Its trials were put on record before their values."""
    config = study()
    optuna_study = optuna.create_study(
        study_name="urec-f1.00", storage=f"sqlite:///{folder / 'optuna.db'}"
    )
    optuna_study.enqueue_trial({"w1": 0.1})
    search = Search(config, folder)
    (note,) = search.notes
    assert "search-urec-f1.00-t000" in note
    trial = search.next_trial()
    assert trial is not None
    assert trial.training.w1 == 0.1


SEEDS = (0, 1_000_001, 1_000_002)
"""Those of a search of three seeds."""


def test_a_suggestion_is_trained_with_every_seed_and_is_one_trial_to_optuna(folder):
    config = study(trials=2, search_seeds=3)
    search = Search(config, folder)
    assert search.num_left == 2 * 3 + 2
    trials = run_all(search, lambda trial: by_w1(trial) + SEEDS.index(trial.seed) / 100
                     if trial.phase == "search" else 0.5)  # fmt: skip
    assert [trial.key for trial in trials[:6]] == [
        f"search-urec-f1.00-t00{number}-s{seed}" for number in (0, 1) for seed in SEEDS
    ]
    assert len({str(trial.training) for trial in trials[:3]}) == 1
    assert [trial.phase for trial in trials[6:]] == ["confirm"] * 2
    shown = in_database(config, folder)
    assert [one.state for one in shown] == [TrialState.COMPLETE] * 2
    means = [by_w1(trial) + 0.01 for trial in (trials[0], trials[3])]
    assert [one.value for one in shown] == pytest.approx(means)


def test_the_setting_nearest_to_the_published_one_is_chosen_where_seeds_cannot_tell(folder):
    config = study(sampler="grid", space="w1=0.05/0.2/0.6,label_frac=1", search_seeds=2, seeds=1)
    scores = {0.05: (0.70, 0.60), 0.2: (0.69, 0.61), 0.6: (0.66, 0.66)}

    def score(trial: TrialConfig) -> float:
        return scores[trial.training.w1][trial.seed > 0] if trial.phase == "search" else 0.5

    confirmed = run_all(Search(config, folder), score)[-1]
    assert confirmed.phase == "confirm"
    assert confirmed.training.w1 == 0.05, "0.1 lies as near to 0.05 as to 0.2, which is no better"


def test_a_suggestion_that_failed_with_one_seed_was_chosen_by_the_others(folder):
    config = study(trials=2, search_seeds=3)
    trials = run_all(
        Search(config, folder),
        lambda trial: None if trial.key.endswith("t000-s1000001") else 0.9 - trial.training.w1 / 10,
    )
    shown = in_database(config, folder)
    assert [one.state for one in shown] == [TrialState.FAIL, TrialState.COMPLETE]
    assert len(trials) == 6 + 2, "the trials of its other seeds are run all the same"
    assert trials[-1].training == trials[3].training


@pytest.mark.parametrize("pruner", ["none", "asha"])
def test_a_continued_search_of_several_seeds_goes_on_with_what_is_missing(make_folder, pruner):
    config = study(trials=3, search_seeds=3, pruner=pruner)

    def score(trial: TrialConfig) -> float:
        return by_w1(trial) + SEEDS.index(trial.seed) / 50 if trial.phase == "search" else 0.5

    undisturbed = run_all(Search(config, make_folder("a")), score)
    assert len(undisturbed) == 9 + 2
    continued, other = [], make_folder("b")
    for number in range(len(undisturbed)):
        search = Search(config, other)
        assert search.num_left == len(undisturbed) - number
        search.next_trial()  # its driver is lost before it ends
        search = Search(config, other)
        trial = search.next_trial()
        assert trial is not None
        search.end(trial, score(trial))
        continued.append(trial)
    assert continued == undisturbed
    assert Search(config, other).num_left == 0


def test_the_pruner_judges_the_first_seed_and_the_others_of_a_pruned_one_are_not_begun(folder):
    config = study(models=["unet"], space="lr,label_frac=1", trials=2, num_validations=9,
                   pruner="asha", search_seeds=3)  # fmt: skip
    search = Search(config, folder)
    good, bad = search.next_trial(), search.next_trial()
    assert good is not None
    assert bad is not None
    assert [good.key[-8:], bad.key[-8:]] == ["-t000-s0", "-t001-s0"], "first seeds first"
    assert search.next_trial() is None
    assert search.num_left == 4 + 2
    assert not search.should_prune(good.key, validations(good, [0.5] * 9))
    search.end(good, 0.5)
    assert search.should_prune(bad.key, validations(bad, [0.4]))
    search.end(bad, None, "pruned")
    rest = [search.next_trial(), search.next_trial()]
    assert [one.key for one in rest if one] == [
        f"search-unet-f1.00-t000-s{seed}" for seed in SEEDS[1:]
    ]
    for one in rest:
        assert one is not None
        assert not search.should_prune(one.key, validations(one, [0.1] * 9)), "not compared"
    for seed in SEEDS[1:]:
        outcome = read_outcome(folder / "trials" / f"search-unet-f1.00-t001-s{seed}")
        assert outcome is not None
        assert (outcome.state, outcome.history) == ("pruned", [])
    again = Search(config, folder)
    assert [again.next_trial(), again.next_trial()] == rest
    for one in rest:
        assert one is not None
        again.end(one, 0.5)
    assert [one.state for one in in_database(config, folder)] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
    ]
    assert [trial.phase for trial in run_all(again, by_w1)] == ["confirm"] * 2


@pytest.mark.parametrize("lost", ["all", "first", "others"])
def test_a_suggestion_whose_records_were_lost_is_known_by_its_other_seeds(folder, lost):
    config = study(sampler="qmc", trials=2, search_seeds=3)
    trials = run_all(Search(config, folder), by_w1)
    keys = [trial.key for trial in trials[3:6]]
    for key in {"all": keys, "first": keys[:1], "others": keys[1:]}[lost]:
        for name in (PLAN, RESULT):
            (folder / "trials" / key / name).unlink(missing_ok=True)
    (folder / "optuna.db").unlink()
    search = Search(config, folder)
    assert bool(search.notes) == (lost == "all")
    missing = {"all": 3, "first": 1, "others": 2}[lost]
    assert search.num_left == missing
    repeated = run_all(search, by_w1)
    assert repeated == [trial for trial in trials[3:6] if trial in repeated]
    assert len(repeated) == missing


def test_seeds_of_one_suggestion_with_different_values_were_averaged(folder):
    """A folder that was copied from another study, say."""
    config = study(trials=2, search_seeds=2)
    trials = run_all(Search(config, folder), by_w1)
    odd = folder / "trials" / trials[3].key
    record = json.loads((odd / RESULT).read_text())
    record["trial"]["training"]["w1"] = 0.77
    (odd / RESULT).write_text(json.dumps(record))
    search = Search(config, folder)
    (note,) = search.notes
    assert f"{odd / RESULT} holds other values than the trials of the other seeds" in note
    assert run_all(search, by_w1) == [trials[3]]
    assert (odd / f"{RESULT}.damaged").exists()


@pytest.mark.parametrize("w1", [7e-3, 0.96, 0])
@pytest.mark.parametrize("where", [[PLAN], [PLAN, RESULT], [RESULT]])
@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_values_outside_of_the_space_ended_in_a_traceback_of_optuna(folder, w1, where, phase):
    """They are set aside like a damaged record, with the file in the note."""
    config = study(trials=2, seeds=1)
    trials = run_all(Search(config, folder), by_w1)
    key = trials[1].key if phase == "search" else trials[2].key
    place = folder / "trials" / key
    for name in where:
        if name == PLAN and phase == "confirm":
            record = {"trial": trials[2].to_plain(), "validations": {}, "stopped_at": None}
        else:
            record = json.loads((place / name).read_text())
        record["trial"]["training"]["w1"] = w1
        (place / name).write_text(json.dumps(record))
    (place / "checkpoint.pt").write_bytes(b"of these values")
    search = Search(config, folder)
    if where == [RESULT] and phase == "search":
        assert search.notes == [], "its plan says what it was, and its score counts"
        assert search.num_left == 0
        return
    for name, note in zip(where, search.notes, strict=False):
        assert str(place / name) in note
        assert f"w1 {w1!r}" in note
        assert note.count("\n") == 0
        assert (place / f"{name}.damaged").exists()
    assert not (place / "checkpoint.pt").exists()
    rest = run_all(search, by_w1)
    assert [trial.key for trial in rest] == ([] if where == [PLAN] else [key])
    assert all(0.01 <= trial.training.w1 <= 0.95 for trial in rest)


def test_values_outside_of_the_space_in_the_database_are_drawn_anew(folder):
    config = study(sampler="qmc", trials=2)
    optuna_study = optuna.create_study(
        study_name="urec-f1.00", storage=f"sqlite:///{folder / 'optuna.db'}"
    )
    domain = optuna.distributions.FloatDistribution(1e-9, 1, log=True)
    optuna_study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.RUNNING, params={"w1": 1e-8}, distributions={"w1": domain}
        )
    )
    search = Search(config, folder)
    assert len(search.notes) == 1
    trial = search.next_trial()
    assert trial is not None
    assert trial.training.w1 == 0.1


def as_an_earlier_version(folder: Path) -> str:
    """Has the database name studies by arms, and hold no more than states, values and scores."""
    url = f"sqlite:///{folder / 'optuna.db'}"
    (now,) = optuna.get_all_study_summaries(url)
    known = optuna.load_study(study_name=now.study_name, storage=url)
    old = optuna.create_study(study_name="urec-f1.00", storage=url, direction="maximize")
    for trial in known.trials:
        trial.intermediate_values, trial.user_attrs = {}, {}
        old.add_trial(trial)
    optuna.delete_study(study_name=now.study_name, storage=url)
    return url


def shown_to_others(folder: Path) -> optuna.Study:
    url = f"sqlite:///{folder / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)


def validated(trial: TrialConfig, *scores: float) -> list[dict[str, float]]:
    steps = trial.training.validation_steps()
    return [{"step": step, "val/mean_f1": score}
            for step, score in zip(steps, scores, strict=False)]  # fmt: skip


@pytest.mark.parametrize("pruner", ["none", "asha"])
def test_a_dashboard_showed_numbers_without_names(folder, pruner):
    """Value 0, no curve, arms as `urec-f1.00`, and nothing that led to the run in MLflow."""
    config = study(trials=2, pruner=pruner)
    search = Search(config, folder)
    for scores in ((0.1, 0.3), (0.2,)):
        trial = search.next_trial()
        search.should_prune(trial.key, validated(trial, *scores))
    seen = shown_to_others(folder)
    assert seen.study_name == "U-REC, 100 %"
    assert seen.metric_names == ["val/mean_f1"]
    assert seen.user_attrs == {"study": "s", "arm": "urec-f1.00"}
    assert [one.user_attrs["trial_key"] for one in seen.trials] == [
        "search-urec-f1.00-t000", "search-urec-f1.00-t001",
    ]  # fmt: skip
    first, second = config.training.validation_steps()[:2]
    assert [one.intermediate_values for one in seen.trials] == [
        {first: 0.1, second: 0.3}, {first: 0.2},
    ]  # fmt: skip


def test_a_database_that_is_written_anew_keeps_what_leads_to_mlflow(folder):
    """As after a version that counted validations instead of telling their steps."""
    config = study(trials=1)
    search = Search(config, folder, runs={"search-urec-f1.00-t000": "the run"})
    trial = search.next_trial()
    search.end(trial, 0.1)
    (told,) = shown_to_others(folder).trials
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'optuna.db'}")
    as_then = storage.get_trial(told._trial_id)
    as_then.intermediate_values = {1: 0.1}
    study_id = storage.get_study_id_from_name("U-REC, 100 %")
    storage.delete_study(study_id)
    earlier = optuna.create_study(study_name="U-REC, 100 %", storage=storage, direction="maximize")
    earlier.set_metric_names(["val/mean_f1"])
    earlier.add_trial(as_then)
    Search(config, folder)
    (anew,) = shown_to_others(folder).trials
    assert anew.user_attrs["mlflow_run"] == "the run"
    assert anew.intermediate_values == told.intermediate_values
    assert anew.user_attrs == told.user_attrs


@pytest.mark.parametrize("pruner", ["none", "asha"])
def test_a_database_with_the_names_of_an_earlier_version_goes_on(folder, pruner):
    config = study(trials=3, pruner=pruner)
    first = Search(config, folder)
    for score in (0.2, 0.4):
        first.end(first.next_trial(), score)
    before = [(one.params, one.value) for one in shown_to_others(folder).trials]
    as_an_earlier_version(folder)
    again = Search(config, folder)
    seen = shown_to_others(folder)
    assert (seen.study_name, seen.metric_names) == ("U-REC, 100 %", ["val/mean_f1"])
    assert [(one.params, one.value) for one in seen.trials] == before
    assert seen.trials[1].user_attrs == {"trial_key": "search-urec-f1.00-t001"}
    assert again.num_left == 1 + config.seeds


def test_values_that_only_a_database_of_an_earlier_version_holds_are_read(folder):
    config = study(trials=3)
    first = Search(config, folder)
    trial = first.next_trial()
    as_an_earlier_version(folder)
    shutil.rmtree(folder / "trials")
    again = Search(config, folder)
    assert again.next_trial().training.w1 == trial.training.w1
    assert shown_to_others(folder).study_name == "U-REC, 100 %"


def test_the_database_is_not_written_anew_where_it_agrees(folder):
    config = study(trials=2)
    first = Search(config, folder)
    trial = first.next_trial()
    first.should_prune(trial.key, validated(trial, 0.1))
    first.end(first.next_trial(), 0.3)
    number = shown_to_others(folder)._study_id
    Search(config, folder)
    assert shown_to_others(folder)._study_id == number


def test_several_seeds_of_a_suggestion_are_named(folder):
    search = Search(study(trials=1, search_seeds=2), folder)
    search.next_trial()
    (trial,) = shown_to_others(folder).trials
    assert trial.user_attrs["trial_key"] == [
        "search-urec-f1.00-t000-s0", "search-urec-f1.00-t000-s1000001",
    ]  # fmt: skip


def test_a_suggestion_names_its_runs_in_mlflow(folder):
    config = study(trials=2, search_seeds=2)
    first, second = (f"search-urec-f1.00-t000-s{seed}" for seed in (0, 1_000_001))
    search = Search(config, folder, runs={first: "a1", second: "b2"})
    for score in (0.2, 0.4, 0.3, 0.3):
        search.end(search.next_trial(), score)
    with_runs, without = shown_to_others(folder).trials
    assert with_runs.user_attrs["mlflow_run"] == ["a1", "b2"]
    assert "mlflow_run" not in without.user_attrs  # a server that was away
    Search(config, folder)  # which knows no run yet
    assert shown_to_others(folder).trials[0].user_attrs == with_runs.user_attrs
