"""Search and confirmation of an arm, without Ray, on an SQLite file; then Tune's view of it."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from ray.tune.search import Searcher

from study.design.arms import confirm_seeds, plan_arms
from study.errors import StudyHaltedError
from study.machines.databases import create_optuna_database
from study.settings.config import StudyConfig, build_config
from study.tune.searcher import ArmSearch, StudySearcher
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome

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
    create_optuna_database(f"sqlite:///{file}")
    return file


@pytest.fixture
def storage(optuna_database: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(optuna_database, tmp_path)}"


def study(**given: object) -> StudyConfig:
    given = {"space": "w1,label_frac=1", "w1": 0.1, **given}
    return build_config({"name": "s", "trials": 4, "seeds": 2, **given})


def open_search(
    config: StudyConfig, storage: str, done: Mapping[str, float] | None = None, arm: int = 0
) -> ArmSearch:
    """The search of one arm, whose trials in `done` have left their result."""

    def outcome_of(key: str) -> Outcome | None:
        return None if key not in (done or {}) else ended(None, (done or {})[key])

    return ArmSearch(config, plan_arms(config)[arm], storage, outcome_of)


def ended(trial: Any, score: float | None) -> Outcome:
    """Finished with a score, or failed without one."""
    state: Any = "failed" if score is None else "finished"
    return Outcome(state=state, trial=trial, score=score, history=[], record={})


def run_all(search: ArmSearch, score: Scores) -> list[TrialConfig]:
    """All trials of an arm, one after the other, as Tune would ask for them."""
    trials = []
    while (trial := search.next_trial()) is not None:
        trials.append(trial)
        search.complete(ended(trial, score(trial)))
    return trials


def by_w1(trial: TrialConfig) -> float:
    return 1 - abs(trial.training.w1 - 0.2)


def in_database(config: StudyConfig, storage: str, arm: int = 0) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=plan_arms(config)[arm].name, storage=storage).get_trials()


def test_search_then_confirmation(storage):
    config = study()
    search = open_search(config, storage)
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
    assert [trial.state for trial in in_database(config, storage)] == [TrialState.COMPLETE] * 4
    assert [trial.value for trial in in_database(config, storage)] == [*map(by_w1, trials[:4])]


def test_every_arm_gets_the_same_number_of_trials(storage):
    config = study(space="lr,w1,label_frac=0.1/1")
    numbers = [len(run_all(open_search(config, storage, arm=arm), by_w1)) for arm in range(4)]
    assert numbers == [6, 6, 6, 6]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_every_sampler_tries_the_papers_setting_first_and_once(storage, sampler):
    config = study(sampler=sampler, space="w1=0.01..0.5,lr=0.001..0.1,label_frac=1", lr=0.01)
    trials = run_all(open_search(config, storage), by_w1)[:4]
    tried = [(trial.training.w1, trial.training.lr) for trial in trials]
    assert tried[:2] == [(0.1, 0.001), (0.1, 0.01)], "the paper's, at the edge; the preset's"
    assert len(set(tried)) == 4
    assert all(0.01 <= w1 <= 0.5 and 0.001 <= lr <= 0.1 for w1, lr in tried)


def test_gp_goes_beyond_its_random_start(storage):
    config = study(sampler="gp", trials=12)
    trials = run_all(open_search(config, storage), by_w1)
    assert len({trial.training.w1 for trial in trials[:12]}) == 12


@pytest.mark.parametrize("default", [0.1, 0.3, 0.17])
def test_grid_tries_every_point_once_from_the_defaults_on(storage, default):
    """Optuna's own grid sampler tried the enqueued defaults twice and left out the first point."""
    config = study(
        sampler="grid", space="w1=0.1/0.2/0.3,lr=0.001/0.01,label_frac=1", w1=default, lr=0.01
    )
    search = open_search(config, storage)
    assert search.num_left == 6 + 2
    trials = run_all(search, by_w1)
    tried = [(trial.training.w1, trial.training.lr) for trial in trials[:6]]
    nearest = min((0.1, 0.2, 0.3), key=lambda level: abs(level - default))
    assert tried[:2] == [(0.1, 0.001), (nearest, 0.01)], "lr 1e-4 lies below the levels"
    assert sorted(tried) == sorted(itertools.product((0.1, 0.2, 0.3), (0.001, 0.01)))
    assert [trial.phase for trial in trials[6:]] == ["confirm"] * 2


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_continued_search_draws_what_an_undisturbed_one_would(tmp_path, sampler):
    """A sampler that began its random stream anew after a restart repeated its own values."""
    levels = {"space": "w1=0.1/0.2/0.3/0.4/0.45,label_frac=1"} if sampler == "grid" else {}
    config = study(sampler=sampler, trials=5, **levels)
    undisturbed = run_all(open_search(config, f"sqlite:///{tmp_path / 'a.db'}"), by_w1)
    continued = []
    for _ in range(5):
        search = open_search(config, f"sqlite:///{tmp_path / 'b.db'}")
        trial = search.next_trial()
        assert trial is not None
        search.complete(ended(trial, by_w1(trial)))
        continued.append(trial)
    assert continued == undisturbed[:5]
    assert len({trial.training.w1 for trial in continued}) == 5


def test_defaults_are_not_tried_again_after_reopening(storage):
    config = study(trials=3)
    first = open_search(config, storage).next_trial()
    assert first is not None
    open_search(config, storage)  # asked for nothing
    trials = run_all(open_search(config, storage), by_w1)
    assert [trial.training.w1 for trial in trials[:3]].count(0.1) == 1
    assert len(in_database(config, storage)) == 3


def test_defaults_outside_the_domain_move_to_its_edge(storage):
    config = study(w1=0.9, lr=0.04, space="w1=0.01..0.5,lr=0.01/0.03/0.1,label_frac=1")
    search = open_search(config, storage)
    trial = search.next_trial()
    assert trial is not None
    assert (trial.training.w1, trial.training.lr) == (0.1, 0.01), "the paper's"
    trial = search.next_trial()
    assert trial is not None
    assert (trial.training.w1, trial.training.lr) == (0.5, 0.03), "the preset's"


def test_arm_with_nothing_to_search(storage):
    config = study()
    search = open_search(config, storage, arm=1)
    assert search.num_left == 1 + 2
    trials = run_all(search, lambda trial: 0.5)
    assert [trial.phase for trial in trials] == ["search", "confirm", "confirm"]
    assert all(trial.training == config.training for trial in trials)


def test_confirmation_waits_for_every_search_trial(storage):
    search = open_search(study(trials=2), storage)
    first, second = search.next_trial(), search.next_trial()
    assert first is not None
    assert second is not None
    assert search.next_trial() is None
    search.complete(ended(second, 0.9))
    assert search.next_trial() is None
    search.complete(ended(first, 0.1))
    confirmed = search.next_trial()
    assert confirmed is not None
    assert confirmed.training == second.training
    search.complete(ended(confirmed, 0.99))
    assert len(in_database(study(), storage)) == 2, "confirmation is none of Optuna's business"


def test_earliest_of_equals_is_chosen(storage):
    trials = run_all(open_search(study(), storage), lambda trial: 0.5)
    assert trials[-1].training.w1 == trials[0].training.w1 == 0.1


def test_failed_trial_is_never_complete_nor_chosen(storage):
    config = study()
    trials = run_all(
        open_search(config, storage),
        lambda trial: None if trial.key.endswith("t000") else by_w1(trial),
    )
    states = [trial.state for trial in in_database(config, storage)]
    assert states == [TrialState.FAIL, *[TrialState.COMPLETE] * 3]
    assert len(trials) == 6, "a failed trial is not replaced"
    assert trials[-1].training == max(trials[1:4], key=by_w1).training


def test_without_a_search_result_nothing_is_confirmed(storage):
    config = study()
    search = open_search(config, storage)
    trials = run_all(search, lambda trial: None)
    assert [trial.phase for trial in trials] == ["search"] * 4
    assert search.num_left == 0
    again = open_search(config, storage)
    assert again.next_trial() is None
    assert again.num_left == 0


def test_interrupted_trial_comes_again_with_its_values(storage):
    config = study()
    before = open_search(config, storage)
    first, second, third = (before.next_trial() for _ in range(3))
    assert first is not None
    before.complete(ended(first, 0.5))
    search = open_search(config, storage, {first.key: 0.5})
    assert search.num_left == 3 + 2
    assert (search.next_trial(), search.next_trial()) == (second, third)
    rest = run_all(search, by_w1)
    assert [trial.key for trial in rest] == ["search-urec-f1.00-t003"], "second and third still run"
    assert second is not None
    assert third is not None
    search.complete(ended(second, 0.6))
    search.complete(ended(third, 0.7))
    assert [trial.phase for trial in run_all(search, by_w1)] == ["confirm"] * 2
    assert len(in_database(config, storage)) == 4


def test_interrupted_trial_whose_result_is_on_disk_is_told(storage):
    config = study(trials=2)
    before = open_search(config, storage)
    first, second = before.next_trial(), before.next_trial()
    assert first is not None
    assert second is not None
    before.complete(ended(second, 0.1))
    search = open_search(config, storage, {first.key: 0.75, second.key: 0.1})
    assert search.num_left == 2
    told = in_database(config, storage)[0]
    assert (told.state, told.value) == (TrialState.COMPLETE, 0.75)
    trial = search.next_trial()
    assert trial is not None
    assert (trial.phase, trial.training) == ("confirm", first.training)


def test_finished_confirmation_is_not_repeated(storage):
    config = study()
    run_all(open_search(config, storage), by_w1)
    search = open_search(config, storage, {"confirm-urec-f1.00-s1": 0.5})
    assert search.num_left == 1
    assert [trial.key for trial in run_all(search, by_w1)] == ["confirm-urec-f1.00-s2"]


def test_arms_do_not_see_each_other(storage):
    config = study(space="w1,label_frac=0.1/1")
    run_all(open_search(config, storage, arm=0), by_w1)
    assert open_search(config, storage, arm=2).num_left == 4 + 2


def make_searcher(config: StudyConfig, storage: str, room: int = 99) -> StudySearcher:
    searches = [ArmSearch(config, arm, storage, lambda key: None) for arm in plan_arms(config)]
    return StudySearcher(searches, lambda trial: {"trial": trial.to_plain()}, room=lambda: room)


def told(suggested: object) -> TrialConfig:
    assert isinstance(suggested, dict)
    return TrialConfig.from_plain(suggested["trial"])


def test_no_more_trials_than_there_is_room_for(storage):
    """Room may come and go; a study whose machines have all gone starts one, which waits."""
    config = study(models=["urec"], trials=4)
    searches = [ArmSearch(config, arm, storage, lambda key: None) for arm in plan_arms(config)]
    room, changes = [0], []
    searcher = StudySearcher(
        searches,
        lambda trial: {"trial": trial.to_plain()},
        room=lambda: room[0],
        on_change=lambda: changes.append(len(changes)),
    )
    first = told(searcher.suggest("a"))
    assert searcher.suggest("b") is None
    room[0] = 3
    told(searcher.suggest("b"))
    told(searcher.suggest("c"))
    assert searcher.suggest("d") is None
    assert (searcher.num_left, len(changes)) == (6, 3)
    room[0] = 2
    searcher.end(ended(first, 0.5))
    assert searcher.suggest("d") is None
    assert (searcher.num_left, len(changes)) == (5, 4)


@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_a_lost_trial_is_served_again_with_its_values(storage, phase):
    config = study(models=["urec"], trials=1, seeds=1)
    searcher = make_searcher(config, storage)
    lost = told(searcher.suggest("a"))
    if phase == "confirm":
        searcher.end(ended(lost, 0.5))
        lost = told(searcher.suggest("b"))
    left = searcher.num_left
    searcher.requeue(lost)
    assert searcher.num_left == left
    assert told(searcher.suggest("c")) == lost
    assert searcher.suggest("d") in (None, "FINISHED")
    searcher.end(ended(lost, 0.5))
    assert searcher.is_done == (phase == "confirm")


def test_finished_only_when_nothing_is_left(storage):
    config = study(models=["unet"], space="label_frac=1")
    searcher = make_searcher(config, storage)
    assert not searcher.is_done
    first = told(searcher.suggest("a"))
    assert first.key == "search-unet-f1.00-t000"
    assert searcher.suggest("b") is None
    assert searcher.suggest("b") is None
    searcher.on_trial_complete("a", {"finished": True})
    assert searcher.suggest("b") is None, "Tune says so before the outcome is on disk"
    searcher.end(ended(first, 0.5))
    confirm = [told(searcher.suggest(name)) for name in "bc"]
    assert [trial.key for trial in confirm] == [
        f"confirm-unet-f1.00-s{seed}" for seed in confirm_seeds(config)
    ]
    assert searcher.suggest("d") is None, "the others still run"
    searcher.end(ended(confirm[0], 0.5))
    assert not searcher.is_done
    searcher.end(ended(confirm[1], None))
    assert searcher.suggest("d") == Searcher.FINISHED
    assert searcher.is_done


def test_no_arm_waits_for_another(storage):
    searcher = make_searcher(study(space="w1,label_frac=1", trials=1), storage)
    assert told(searcher.suggest("a")).key == "search-urec-f1.00-t000"
    unet = told(searcher.suggest("b"))
    assert unet.key == "search-unet-f1.00-t000"
    assert searcher.suggest("c") is None
    searcher.end(ended(unet, 0.5))
    assert told(searcher.suggest("c")).key == "confirm-unet-f1.00-s1"


def test_an_arm_with_nothing_to_choose_is_confirmed_though_its_search_failed(storage):
    searcher = make_searcher(study(models=["unet"], space="label_frac=1"), storage)
    searcher.end(ended(told(searcher.suggest("a")), None))
    assert told(searcher.suggest("b")).phase == "confirm"


def test_failed_confirmation_is_repeated_and_a_failed_search_trial_is_not(storage):
    config = study(trials=1, seeds=1)
    trials = run_all(open_search(config, storage), by_w1)
    done = {trials[0].key: 0.5, trials[1].key: None}
    again = run_all(open_search(config, storage, done), by_w1)
    assert [trial.key for trial in again] == ["confirm-urec-f1.00-s1"]


def validations(trial: TrialConfig, scores: list[float], done: int = 0) -> list[dict[str, float]]:
    """Rows of the validations after the first `done`, as a trial reports them."""
    steps = trial.training.validation_steps()[: len(scores)]
    rows = [{"step": step, "val/mean_f1": score} for step, score in zip(steps, scores, strict=True)]
    return rows[done:]


def test_an_arm_of_low_scores_keeps_its_share_of_unpruned_trials(storage):
    """Successive halving over all arms would stop every trial at 1 % and none at 100 %."""
    config = study(
        models=["unet"], space="lr,label_frac=0.01/1", trials=9, num_validations=9, pruner="asha"
    )
    low, high = (ArmSearch(config, arm, storage, lambda key: None) for arm in plan_arms(config))
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
            state: Any = "pruned" if stopped else "finished"
            search.complete(Outcome(state=state, trial=trial, score=score, history=[], record={}))
    assert pruned[0.01] == pruned[1.0]
    assert 0 < pruned[0.01].count(False) < 9


@pytest.mark.parametrize(
    "restarts", ["between trials", "between validations", "between verdict and end"]
)
def test_a_continued_search_prunes_as_an_undisturbed_one(
    storage, optuna_database, tmp_path, restarts
):
    """The rungs that a trial had reached were forgotten with the driver: nothing was pruned."""
    config = study(
        models=["unet"], space="lr,label_frac=1", trials=6, num_validations=9, pruner="asha"
    )

    def stops(storage: str, restarts: str | None) -> list[int | None]:
        search, found = open_search(config, storage), []
        for scores in ([0.5, 0.9], [0.6, 0.4], [0.3, 0.8], [0.55, 0.5], [0.1, 0.1], [0.7, 0.7]):
            if restarts == "between trials":
                search = open_search(config, storage)
            trial = search.next_trial()
            assert trial is not None
            course = [scores[0]] * 2 + [scores[1]] * 7
            stopped = None
            for num in range(1, 10):
                if restarts == "between validations":
                    search = open_search(config, storage)
                    assert search.next_trial() == trial
                if search.should_prune(trial.key, validations(trial, course[:num], num - 1)):
                    stopped = num
                    break
            if restarts == "between verdict and end" and stopped is not None:
                search = open_search(config, storage)
                assert search.next_trial() == trial
                told = [  # from its first step on, or from a checkpoint before the next validation
                    search.should_prune(trial.key, validations(trial, course[:last], first))
                    for first, last in ((0, stopped - 1), (stopped - 1, stopped), (0, stopped + 1))
                ]
                assert told == [False, True, True]
            found.append(stopped)
            state: Any = "finished" if stopped is None else "pruned"
            outcome = Outcome(state=state, trial=trial, score=course[-1], history=[], record={})
            search.complete(outcome)
        return found

    other = f"sqlite:///{shutil.copy(optuna_database, tmp_path / 'other.db')}"
    undisturbed = stops(other, None)
    assert len(set(undisturbed)) > 2, "trials stop at different rungs, and some do not"
    assert stops(storage, restarts) == undisturbed


def test_a_pruned_trial_is_told_with_its_intermediate_values_and_never_chosen(storage):
    config = study(models=["unet"], space="lr,label_frac=1", trials=2, num_validations=9,
                   pruner="asha")  # fmt: skip
    search = open_search(config, storage)
    good, bad = search.next_trial(), search.next_trial()
    assert good is not None
    assert bad is not None
    assert not search.should_prune(good.key, validations(good, [0.5] * 9))
    search.complete(ended(good, 0.5))
    assert search.should_prune(bad.key, validations(bad, [0.4]))
    search.complete(Outcome(state="pruned", trial=bad, history=[], record={}))
    first, second = in_database(config, storage)
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert first.intermediate_values == dict.fromkeys(range(1, 10), 0.5)
    assert second.intermediate_values == {1: 0.4}
    confirm = search.next_trial()
    assert confirm is not None
    assert confirm.training == good.training


def test_rows_told_again_after_an_interruption_are_told_once(storage):
    config = study(
        models=["unet"], space="lr,label_frac=1", trials=1, num_validations=9, pruner="asha"
    )
    trial = open_search(config, storage).next_trial()
    assert trial is not None
    search = open_search(config, storage)
    assert search.next_trial() == trial
    for rows in (validations(trial, [0.1, 0.2]), validations(trial, [0.1, 0.2, 0.3])):
        assert not search.should_prune(trial.key, rows)
    (told_to_optuna,) = in_database(config, storage)
    assert told_to_optuna.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


LEVELS = "w1,lr=0.0001/0.0003/0.001/0.003/0.01,label_frac=1"


@pytest.mark.parametrize(
    "space", ["w1,lr,label_frac=1", LEVELS, LEVELS.replace("w1", "w1=0.1/0.3")]
)
def test_both_models_draw_the_same_lr_at_each_position(storage, space):
    config = study(sampler="random", space=space, trials=5)
    drawn = []
    for arm, model in enumerate(("urec", "unet")):
        trials = run_all(open_search(config, storage, arm=arm), by_w1)[: config.trials]
        assert {trial.model for trial in trials} == {model}
        assert {trial.phase for trial in trials} == {"search"}
        drawn.append([trial.training.lr for trial in trials])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 5, "none twice"


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_no_level_is_tried_twice_while_another_is_untried(storage, sampler):
    """TPE suggested the good level again and again: the same training, bit for bit."""
    config = study(models=["unet"], sampler=sampler, trials=5, space=LEVELS.removeprefix("w1,"))
    trials = run_all(open_search(config, storage), lambda trial: float(trial.training.lr == 0.01))
    assert len({trial.training.lr for trial in trials[:5]}) == 5


def test_qmc_does_not_try_the_corner_that_the_papers_setting_is(storage):
    config = study(sampler="qmc", space="w1=0.1..0.5,lr=0.0001..0.01,label_frac=1", trials=6)
    tried = [trial.training for trial in run_all(open_search(config, storage), by_w1)[:6]]
    assert sum(one.lr < 1.0001e-4 and one.w1 < 0.1001 for one in tried) == 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_concurrent_suggestions_do_not_repeat_each_other(storage, sampler):
    """None has ended when the next is asked for; with few levels, samplers repeat themselves."""
    config = study(sampler=sampler, space="w1=0.01/0.1/0.3,lr=0.001/0.01,label_frac=1", trials=6)
    search = open_search(config, storage)
    tried = []
    for _ in range(6):
        trial = search.next_trial()
        assert trial is not None
        tried.append((trial.training.w1, trial.training.lr))
    assert len(set(tried)) == 6


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
@pytest.mark.parametrize("written", [False, True])
def test_a_trial_cut_off_while_it_was_put_on_record_gets_the_values_it_would_have_had(
    storage, optuna_database, tmp_path, monkeypatch, sampler, written
):
    """It was trained with the preset's values instead, and stood in no table as what it was."""
    levels = "w1=0.05/0.3,lr=0.002/0.02,label_frac=1"
    config = study(sampler=sampler, space=levels if sampler == "grid" else "w1,lr,label_frac=1")

    def third(storage: str) -> ArmSearch:
        search = open_search(config, storage)
        for _ in range(2):
            trial = search.next_trial()
            assert trial is not None
            search.complete(ended(trial, by_w1(trial)))
        return search

    cut = f"sqlite:///{shutil.copy(optuna_database, tmp_path / 'cut.db')}"
    undisturbed = third(storage).next_trial()
    search = third(cut)
    # The values are the last to be written within the transaction, and the commit comes after it.
    cut_at = "_create_new_trial" if written else "_get_prepared_new_trial"
    usual = getattr(RDBStorage, cut_at)

    def cut_off(self: object, *arguments: object) -> None:
        usual(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(RDBStorage, cut_at, cut_off)
    with pytest.raises(KeyboardInterrupt):
        search.next_trial()
    monkeypatch.undo()
    assert len(in_database(config, cut)) == (3 if written else 2)
    assert open_search(config, cut).next_trial() == undisturbed
    assert len(in_database(config, cut)) == 3


def test_a_search_that_an_earlier_version_left_half_way_is_refused(storage):
    """Its trials were put on record before their values."""
    config = study()
    optuna_study = optuna.create_study(study_name="urec-f1.00", storage=storage)
    optuna_study.enqueue_trial({"w1": 0.1})
    with pytest.raises(StudyHaltedError, match=r"urec-f1\.00 was begun by an earlier"):
        open_search(config, storage)
