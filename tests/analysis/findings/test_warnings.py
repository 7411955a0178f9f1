from dataclasses import replace

from analysis.findings.warnings import warnings
from analysis.reading.budgets import BudgetInfo, EqualBudgets
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.statistics.scores import score_trials
from contract.protocol.looks import extend, plan_looks


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def test_clean_study_has_no_warning(store: str) -> None:
    record = load_study("full", store)
    assert warnings(record, score_trials(record)) == ()


def test_warnings_count_what_went_wrong(store: str) -> None:
    record = load_study("broken", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "The study ended with failures" in found
    assert "1 of 2 confirmation trials has not converged" in found
    assert "2 of 4 confirmation trials have failed" in found
    assert "Fewer seeds than asked for: U-REC at 10\N{NO-BREAK SPACE}% (0 of 2)" in found


def test_unfinished_and_unrecorded_are_told(store: str) -> None:
    record = load_study("searching", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "has not ended" in found
    assert "1 of 2 trials has not ended (running, or interrupted): the study is not" in found
    record = load_study("one-model", store)
    assert "not recorded whether training converged" in " ".join(
        warnings(record, score_trials(record))
    )


def test_pruned_trial_is_no_warning(store: str) -> None:
    record = load_study("variants", store)
    found = plain(" ".join(warnings(record, score_trials(record))))
    assert "not ended" not in found
    assert "prune" not in found
    assert "4 of 24 confirmation trials have failed" in found
    assert "2 of 20 search trials have failed" in found
    assert (
        "U-REC (annotated pixels) at 2 % (2 of 3), U-REC (annotated pixels) at 10 % (0 of 3) and "
        "U-REC (annotated pixels) at 100 % (0 of 3)"
    ) in found


def test_stopped_study_says_so_and_counts_what_is_open(store: str) -> None:
    record = load_study("stopped", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "stopped before its end" in found
    assert "3 of 7 trials have not ended" in found
    assert "Fewer seeds" not in found


def test_what_was_odd_about_the_files_is_told(store: str) -> None:
    record = load_study("full", store)
    document = dict(record.info.document)
    dataset = {**(document.get("dataset") or {}), "notes": ["band dem holds -9999 in 7 pixels"]}
    info = replace(record.info, document={**document, "dataset": dataset})
    found = warnings(replace(record, info=info), score_trials(record))
    assert found == ("In the data: band dem holds -9999 in 7 pixels.",)


def test_fractions_of_one_budget_are_said_to_be_one_arm(store: str) -> None:
    """Trials that differ by chance alone were compared, and a saving was found."""
    record = load_study("full", store)
    budgets = tuple(
        BudgetInfo(seed=seed, label_frac=f, reached_frac=1.0, empty_classes=(), exceeds=False)
        for seed in (1, 2) for f in (0.02, 1.0)
    )  # fmt: skip
    same = (EqualBudgets(asked=(0.02, 1.0), kept=1.0),)
    info = replace(record.info, budgets=budgets, equal_budgets=same)
    said = [one.replace("\N{NO-BREAK SPACE}", " ") for one in
            warnings(replace(record, info=info), score_trials(record))]  # fmt: skip
    assert (
        "Asked for were 2 % and 100 % of the labels, and every draw of them is the same 100 %: "
        "they are one arm, named 100 %." in said
    )
    assert (
        "Trials at 2 % are compared with nothing: from those at 100 % they differ by chance alone."
        in said
    )


def test_fractions_that_only_the_first_seeds_cannot_tell_apart_are_said_to_be_so(
    store: str,
) -> None:
    """With the seeds added later 2 % is not drawn, so that nobody knows what it would be."""
    record = load_study("full", store)
    budgets = tuple(
        BudgetInfo(seed=s, label_frac=1.0, reached_frac=r, empty_classes=(), exceeds=False)
        for s, r in ((1, 0.5), (2, 0.5), (3, 0.7))
    )
    looks = [look.to_plain() for look in extend(plan_looks([2]), [3], "2026-11-29T12:00:00+00:00")]
    info = replace(
        record.info,
        budgets=budgets,
        equal_budgets=(EqualBudgets(asked=(0.02, 1.0), kept=1.0),),
        document={**record.info.document, "looks": looks},
    )
    said = [one.replace("\N{NO-BREAK SPACE}", " ") for one in
            warnings(replace(record, info=info), score_trials(record))]  # fmt: skip
    assert (
        "Asked for were 2 % and 100 % of the labels, and every draw of them with the seeds that "
        "the study began with is the same 50 %: they are one arm, named 100 %." in said
    )


def told_of_validation(record: StudyRecord, *lacking: tuple[int, tuple[str, ...]]) -> list[str]:
    """What is said of validation budgets at 10 %, by seed, that lack these classes."""
    budgets = tuple(
        BudgetInfo(seed=s, label_frac=0.1, reached_frac=0.1, empty_classes=e, exceeds=False)
        for s, e in lacking
    )
    document = {**record.info.document, "search": {"seeds": [0]}}
    info = replace(record.info, val_budgets=budgets, document=document)
    return [
        one.replace("\N{NO-BREAK SPACE}", " ")
        for one in warnings(replace(record, info=info), score_trials(record))
        if "validation tiles" in one
    ]


def test_classes_that_validation_lacks_are_told(store: str) -> None:
    assert told_of_validation(load_study("full", store), (1, ("car",)), (2, ())) == [
        "At 10 % of the validation tiles, budgets hold not one pixel of car (1 of "
        "2): weights were chosen without these classes."
    ]


def test_what_the_search_could_not_learn_is_told(store: str) -> None:
    """The search of an arm had no car to learn, and its settings were used without a word."""
    for name, sentences in (("unknown", 1), ("one-seed", 0)):
        record = load_study(name, store)
        budgets = (
            BudgetInfo(
                seed=0, label_frac=0.1, reached_frac=0.1, empty_classes=("car",), exceeds=False
            ),
        )
        document = {**record.info.document, "search": {"seeds": [0]}}
        info = replace(record.info, budgets=budgets, document=document)
        said = warnings(replace(record, info=info), score_trials(record))
        expected = (
            "At 10\N{NO-BREAK SPACE}%, the search's budgets hold not one pixel of car (1 of 1): "
            "networks trained on them could not learn these classes, and settings were chosen by "
            "them."
        )
        assert said.count(expected) == sentences


def test_settings_are_chosen_by_the_draws_of_the_search(store: str) -> None:
    """Those of confirmation were said to have chosen them, and those of the search not told."""
    record = load_study("unknown", store)
    lacking = ((0, ("tree",)), (1, ()), (2, ()))
    assert record.searched
    assert told_of_validation(record, *lacking) == [
        "At 10 % of the validation tiles, the search's budgets hold not one pixel "
        "of tree (1 of 1): settings were chosen without these classes."
    ]
    unsearched = load_study("one-seed", store)
    assert not unsearched.searched
    assert told_of_validation(unsearched, *lacking) == []
