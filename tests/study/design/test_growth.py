"""Looks of a study that grows: what is on record, what is asked for, what is refused."""

import pytest

from contract.names import MANIFEST
from contract.protocol.looks import Look, plan_looks
from study.design.growth import (
    asked_looks,
    look_seeds,
    looks_note,
    looks_of,
    recorded_looks,
)
from study.design.manifest import write_manifest
from study.settings.config import build_config
from trainables.errors import ConfigError


def manifest_of(seeds, looks=None):
    """`study.yaml` of a study, as far as its looks go; without looks one of an earlier version."""
    content = {"study_id": "a", "config": {"seeds": seeds}}
    return content if looks is None else content | {"looks": [one.to_plain() for one in looks]}


def config_of(seeds, **given):
    return build_config({"name": "s", "seeds": seeds, **given})


def test_a_study_of_an_earlier_version_had_one_look_at_its_end():
    assert recorded_looks(manifest_of(7), "study.yaml") == (Look(seeds=7, level=0.05),)


@pytest.mark.parametrize("looks", [[], 3, [{"seeds": 7}], "text", [None]])
def test_damaged_looks_are_named_with_the_file(looks):
    with pytest.raises(ConfigError, match=r"looks must .* in study.yaml; put the copy back"):
        recorded_looks(manifest_of(7) | {"looks": looks}, "study.yaml")


def test_looks_are_planned_before_the_first_trial():
    assert asked_looks(config_of("8,11,14"), None) == plan_looks([8, 11, 14])


@pytest.mark.parametrize("asked", [14, "11,14", "8,11,14"])
def test_the_same_study_keeps_its_looks(asked):
    looks = plan_looks([8, 11, 14])
    assert asked_looks(config_of(asked), manifest_of([8, 11, 14], looks)) == looks


def test_more_seeds_after_a_look_are_an_unplanned_one():
    seven, ten = asked_looks(config_of(10), manifest_of(7, plan_looks([7])))
    assert seven.is_planned
    assert (ten.seeds, ten.level, ten.is_planned, ten.after) == (10, 0.0, False, 7)
    assert ten.added.endswith("+00:00")


def test_looks_planned_for_more_seeds_before_anything_could_be_shown():
    looks = asked_looks(config_of("8,11,14"), manifest_of(3))
    assert [one.level for one in looks[1:]] == [one.level for one in plan_looks([8, 11, 14])]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (6, "--seeds must be at least the 14 that the study 's' has, got 6; write --seeds 14 to "
         "go on with them"),
        (8, "got 8; write --seeds 14 to go on with them, and --look 8 to end there"),
        ("9,14", "--seeds must keep the looks 8, 14 of the study 's', got one at 9; looks are "
         "planned before the first trial"),
        ("8,10,20", "got one at 10"),
    ],
)  # fmt: skip
def test_a_plan_is_not_changed_afterwards(asked, said):
    with pytest.raises(ConfigError) as caught:
        asked_looks(config_of(asked), manifest_of([8, 14], plan_looks([8, 14])))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("earlier", [None, manifest_of([8, 14], plan_looks([8, 14]))])
def test_a_run_ends_at_a_look_of_the_study(earlier):
    assert asked_looks(config_of("8,14", look=8), earlier) == plan_looks([8, 14])
    with pytest.raises(ConfigError, match=r"--look must be one of 8, 14, got 9"):
        asked_looks(config_of("8,14", look=9), earlier)


def test_looks_are_read_from_the_record(tmp_path):
    config = config_of("8,14", output=str(tmp_path))
    config.folder.mkdir()
    write_manifest(config.folder / MANIFEST, manifest_of([8, 14], plan_looks([8, 14])))
    assert looks_of(config) == plan_looks([8, 14])


def test_one_planned_look_is_worth_no_word():
    assert looks_note(config_of(7), plan_looks([7])) is None


def test_planned_looks_are_told_with_their_levels():
    assert looks_note(config_of("8,14"), plan_looks([8, 14])) == (
        "the study has looks at 8 and 14 seeds, which may spend 0.034 and 0.016 of the level 0.05"
    )


def test_an_end_at_a_look_is_told():
    assert looks_note(config_of("8,14", look=8), plan_looks([8, 14])).endswith(
        "; this run ends at the look at 8 seeds; the same command without --look goes on"
    )


def test_what_an_unplanned_look_may_spend_is_told():
    config = config_of(10)
    assert looks_note(config, asked_looks(config, manifest_of(7))) == (
        "a look at 10 seeds was not planned but added after 7; its new seeds count in means, and "
        "findings stay those of the looks before"
    )
    config = config_of(8)
    assert looks_note(config, asked_looks(config, manifest_of(3))) == (
        "a look at 8 seeds was not planned but added after 3, which could have shown nothing: "
        "findings may spend 0.05 of the level 0.05 there"
    )


def test_seeds_that_spent_nothing_are_not_said_to_stay_out_of_findings():
    """A study of 3 seeds is extended to 5, and then to 8: findings rest on all 8."""
    config = config_of(8)
    five = asked_looks(config_of(5), manifest_of(3))
    note = looks_note(config, asked_looks(config, manifest_of(5, five)))
    assert "stay those of the looks before" not in note
    assert note.startswith(
        "a look at 5 seeds was not planned but added after 3; so few can show nothing and spend "
        "nothing, and count in findings from 8 on; a look at 8 seeds"
    )


def test_trials_are_served_look_by_look_up_to_the_end_of_the_run():
    looks = plan_looks([8, 11, 14])
    assert look_seeds(config_of("8,11,14", seed=5), looks) == (13, 16, 19)
    assert look_seeds(config_of("8,11,14", seed=5, look=11), looks) == (13, 16)
