"""Names of classes as MLflow takes them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_tag

from study.mlflow_runs.names import MetricNames, param_value, tag_value

PREFIXES = ("test/f1_", "test_eroded/precision_", "val/iou_", "test/recall_")


def names_of(classes: list[str], prefix: str = "test/f1_") -> list[str]:
    names = MetricNames(classes)
    return [names.of(f"{prefix}{one}").removeprefix(prefix) for one in classes]


@pytest.mark.parametrize(
    ("own", "written"),
    [
        ("Barren Land (Rock/Sand/Clay)", "Barren Land _Rock/Sand/Clay_"),
        ("Developed, Open Space", "Developed_ Open Space"),
        ("grass & shrubs", "grass _ shrubs"),
        ("car", "car"), ("low vegetation", "low vegetation"), ("Rock/Sand", "Rock/Sand"),
        ("Wälder", "Wälder"), ("1.1.1", "1.1.1"), ("a:b", "a:b"),
        ("Water/", "Water_"), ("a//b", "a__b"), ("a/../b", "a_.._b"), ("n\na", "n_a"),
    ],
)  # fmt: skip
def test_what_mlflow_takes_stays_and_the_rest_is_replaced(own, written):
    assert names_of([own]) == [written]


def test_metrics_that_are_not_of_a_class_stay():
    names = MetricNames(["(a)", "f1"])
    for name in ("train/loss", "test/mean_f1_all", "test/miou", "select/step", "perf/test_s",
                 "val/f1_unknown", "test/f1_f1"):  # fmt: skip
        assert names.of(name) == name
    assert MetricNames().of("test/f1_(a)") == "test/f1_(a)"


def test_classes_that_would_be_one_stay_apart():
    classes = [
        "a b",
        "a(b)",
        "a[b]",
        "a_b_",
        "A_B_",
        "\u00e9",
        "e\u0301",
        "E",
        "e ",
        "straße",
        "STRASSE",
    ]
    written = names_of(classes)
    assert written[0] == "a b"
    assert written[3] == "a_b_", "a name that can stay is not for another to take"
    folded = ["".join(c for c in unicodedata.normalize("NFKD", one.casefold())
                      if not unicodedata.combining(c)).rstrip() for one in written]  # fmt: skip
    assert len(set(folded)) == len(classes)


def test_a_class_named_like_another_s_checksum_stays_apart():
    (first, taken) = names_of(["a(", "a)"])
    assert len(set(names_of(["a(", "a)", first, taken]))) == 4


def test_names_follow_from_the_classes_alone():
    classes = ["a(", "a)", "A_", "b" * 400, "b" * 401]
    assert names_of(classes) == names_of(list(classes))
    assert names_of(["a(", "other"])[0] == names_of(["new", "a("])[1] == "a_"


@given(st.lists(st.text(max_size=300), unique=True, max_size=8))
def test_any_classes_are_taken_by_mlflow_and_stay_apart_without_case(classes):
    names = MetricNames(classes)
    for prefix in PREFIXES:
        written = [names.of(f"{prefix}{one}") for one in classes]
        for one in written:
            _validate_metric_name(one)
            assert len(one) <= 250
        assert len({one.lower().rstrip() for one in written}) == len(classes)
    for key, value in names.class_tags.items():
        _validate_tag(key, value)


@given(st.text(alphabet="ab/. -_:", min_size=1, max_size=12))
def test_what_mlflow_took_before_is_unchanged(own):
    try:
        _validate_metric_name(f"test/f1_{own}")
    except Exception:  # noqa: BLE001
        return
    assert names_of([own]) == [own]


def test_the_person_s_spelling_is_shown_of_renamed_classes_alone():
    names = MetricNames(["car", "Rock (bare)"])
    assert names.class_tags == {"class_Rock _bare_": "Rock (bare)"}
    assert dict(names.renamed) == {"Rock _bare_": "Rock (bare)"}


def test_values_that_no_database_stores_are_escaped_and_long_ones_cut():
    assert tag_value("/data/caf\udce9/a\0b") == r"/data/caf\udce9/a\x00b"
    assert param_value(None) == "None"
    assert (len(tag_value("x" * 9000)), len(param_value("x" * 9000))) == (8000, 6000)
