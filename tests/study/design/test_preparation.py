"""What is fixed before the first trial: steps, budgets, study.yaml."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import yaml

from contract.names import MANIFEST
from study.design.manifest import dataset_manifest
from study.design.preflight import StudyData, find_dataset, read_data
from study.design.preparation import budget_warnings, prepare, resolve_steps
from trainables.data.tilesets.tileset import pack_tiles
from trainables.errors import ConfigError, DataError

SPACE = "w1,label_frac=0.25/0.5"
TILE_ENDS = (".jpg", "_reference.png")


def read(config) -> StudyData:
    return read_data(config, find_dataset(config))


def files(config) -> dict[str, bytes]:
    folder = config.folder
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_epochs_become_steps(make_config):
    # Rows 0 16 32 48, columns 0 16 32 48 64 of a tile of 80 x 96: 4 x 5 patches, in 4 tiles.
    config = make_config(epochs=3, stride_px=16, batch_size=7)
    assert resolve_steps(config, read(config)).training.steps == 3 * 12
    assert resolve_steps(config, read(config)).training.epochs == 3


def test_imagery_without_annotations_is_no_more_steps(make_config, write_dataset, tmp_path):
    folder = write_dataset(tmp_path / "more")
    text = (folder / "dataset.yaml").read_text().replace("[a*]", "[a1, a2]")
    (folder / "dataset.yaml").write_text(f"{text}unlabelled: images/{{tile}}.tif\n")
    config = make_config(data=str(folder), epochs=3, stride_px=16, batch_size=7)
    data = read(config)
    assert data.tiles["train"].names == ("a1", "a2", "a3", "a4")
    assert resolve_steps(config, data).training.steps == 3 * 6
    assert dataset_manifest(data)["unlabelled_tiles"] == 2


def test_steps_stay_without_epochs(make_config):
    config = make_config(steps=11)
    assert resolve_steps(config, read(config)) == config


def test_steps_that_contradict_other_fields_are_refused(make_config):
    config = make_config(epochs=1, steps=5000, num_validations=2000)
    with pytest.raises(ConfigError, match="num_validations must be at most"):
        resolve_steps(config, read(config))


def test_writes_budgets_and_manifest(make_config):
    config = make_config(space=SPACE, seeds=2, seed=5)
    data = read(config)
    budgets = prepare(config, data)
    assert set(budgets.train) == {(s, f, "random") for s in (5, 6, 7) for f in (0.25, 0.5)}
    for (seed, fraction, _), (budget, _) in budgets.train.items():
        assert (budget.seed, budget.fraction_asked) == (seed, fraction)
        assert budget.unit == config.unit
    for seed in (5, 6, 7):
        small, large = (budgets.train[seed, fraction, "random"][0] for fraction in (0.25, 0.5))
        assert set(small.units) < set(large.units)
    written = files(config)
    assert sorted(written) == sorted(
        [
            MANIFEST,
            *(
                f"budgets/s{s}-f{f}.{kind}"
                for s in (5, 6, 7)
                for f in ("0.25", "0.50")
                for kind in ("json", "png")
            ),
            *(f"test_tiles/{tile}{end}" for tile in ("c1", "c2") for end in TILE_ENDS),
        ]
    )
    manifest = yaml.safe_load(written[MANIFEST])
    assert manifest["config"] == config.to_plain()
    assert {b["checksum"] for b in manifest["budgets"]} == {b.checksum for b, _ in budgets.all()}


def test_close_fractions_have_their_own_budget_files(make_config):
    """`:g` gave both the same file, and the second was refused as changed."""
    # Points of one pixel, of which 0.5 + 1 / 30720 is one more than half of the tiles hold.
    config = make_config(
        space="label_frac=0.50003251/0.50003259", budget_unit="point", budget_px=0, seeds=1
    )
    assert len(prepare(config, read(config)).train) == 4
    assert len(list((config.folder / "budgets").glob("*.json"))) == 4


def test_again_it_verifies_and_writes_nothing(make_config):
    config = make_config(space=SPACE)
    first = prepare(config, read(config))
    before = files(config)
    again = make_config(space=SPACE, concurrent=1, cpus=0.5)
    budgets = prepare(again, read(again))
    assert {key: budget for key, (budget, _) in budgets.train.items()} == {
        key: budget for key, (budget, _) in first.train.items()
    }
    assert files(config) == before


def test_changed_field_is_refused_by_name(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    before = files(config)
    other = make_config(space=SPACE, lr=0.0625, trials=9)
    with pytest.raises(ConfigError) as caught:
        prepare(other, read(other))
    message = str(caught.value)
    assert "\n" not in message
    assert f"lr: {config.training.lr} -> 0.0625" in message
    assert f"trials: {config.trials} -> 9" in message
    assert "steps" not in message
    assert "choose another --name" in message
    assert files(config) == before


def test_a_storage_is_not_left_out_later(make_config, tmp_path):
    """Checkpoints lie there; moving on to one, or to another, is no change of the study."""
    storage = str(tmp_path / "storage")
    config = make_config(storage=storage)
    data = read_data(config, find_dataset(config))
    prepare(config, data)
    prepare(make_config(storage=f"{storage}-2"), data)
    with pytest.raises(ConfigError, match="storage: given -> none"):
        prepare(make_config(), data)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_changed_tiles_are_refused(make_config, split):
    config = make_config(space=SPACE)
    data = read(config)
    prepare(config, data)
    tiles = [dataclasses.replace(tile, image=np.array(tile.image)) for tile in data.tiles[split]]
    tiles[0].image[0, 0, 0] ^= 1
    other = dataclasses.replace(data, tiles={**data.tiles, split: pack_tiles(tiles)})
    with pytest.raises(ConfigError, match=f"{split} tiles: ") as caught:
        prepare(config, other)
    image = data.spec.splits[split][0].image
    assert f"… ({image} changed)" in str(caught.value), "the file, and no other"


def test_two_checksums_did_not_say_which_of_a_thousand_tiles_changed(make_config):
    config = make_config(space=SPACE)
    data = read(config)
    prepare(config, data)
    tiles = [dataclasses.replace(tile, mask=np.array(tile.mask)) for tile in data.tiles["train"]]
    tiles[1].mask[0, 0] ^= 1
    gone, *kept = tiles
    kept.append(dataclasses.replace(gone, name="z9"))
    files = data.spec.splits["train"]
    spec = dataclasses.replace(
        data.spec,
        splits={
            **data.spec.splits,
            "train": (*files[1:], dataclasses.replace(files[0], name="z9")),
        },
    )
    other = dataclasses.replace(data, spec=spec, tiles={**data.tiles, "train": pack_tiles(kept)})
    with pytest.raises(ConfigError) as caught:
        prepare(config, other)
    assert f"({gone.name} is no longer there, {files[1].mask} changed and z9 is new)" in str(
        caught.value
    )


def test_a_study_of_an_earlier_version_names_the_tiles_it_knows(make_config):
    """Its record holds no checksum of each tile, only their names."""
    config = make_config(space=SPACE)
    data = read(config)
    prepare(config, data)
    manifest = yaml.safe_load((config.folder / MANIFEST).read_text())
    del manifest["tiles"]
    (config.folder / MANIFEST).write_text(yaml.safe_dump(manifest))
    prepare(config, data)
    tiles = [dataclasses.replace(tile, image=np.array(tile.image)) for tile in data.tiles["val"]]
    tiles[0].image[0, 0, 0] ^= 1
    other = dataclasses.replace(data, tiles={**data.tiles, "val": pack_tiles(tiles)})
    with pytest.raises(ConfigError, match=r"val tiles: \w+… -> \w+…\)"):
        prepare(config, other)


@pytest.mark.parametrize("field", ["exclude_from_mean", "classes"])
def test_changed_description_of_the_data_is_refused(make_config, field):
    """Half of a study was scored over other classes than the rest."""
    config = make_config(space=SPACE)
    data = read(config)
    prepare(config, data)
    changed = {
        "exclude_from_mean": ("wood",),
        "classes": tuple(reversed(data.spec.classes)),
    }
    spec = dataclasses.replace(data.spec, **{field: changed[field]})
    with pytest.raises(ConfigError, match=f"{field}: "):
        prepare(config, dataclasses.replace(data, spec=spec))


def test_budgets_of_a_study_that_never_began_are_drawn_anew(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    (config.folder / "study.yaml").unlink()  # as a kill before it was written leaves it
    other = make_config(space=SPACE, budget_unit="tile")
    budgets = prepare(other, read(other))
    assert {budget.unit.kind for budget, _ in budgets.all()} == {"tile"}


def test_changed_budget_is_refused(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    path = config.folder / "budgets" / "s1-f0.50.json"
    content = json.loads(path.read_text())
    content["units"] = content["units"][::-1]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"s1-f0\.50"):
        prepare(config, read(config))


def test_a_study_of_points_whose_discs_showed_the_mask_is_refused(make_config):
    config = make_config(space="w1,label_frac=0.25/1", budget_unit="point")
    prepare(config, read(config))
    path = config.folder / MANIFEST
    content = yaml.safe_load(path.read_text())
    assert {one["labels"] for one in content["budgets"]} == {"click", "reference"}
    for one in content["budgets"]:
        del one["labels"]  # as earlier versions wrote it
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="labels of points: of the mask -> of the click"):
        prepare(config, read(config))


@pytest.mark.parametrize("val_frac", ["all", 0.5])
def test_a_study_whose_blocks_at_edges_were_strips_is_refused(make_config, val_frac):
    """It would go on with other blocks: 80 px hold two of 36 px and a strip of 8."""
    config = make_config(space=SPACE, budget_px=36, val_frac=val_frac)
    prepare(config, read(config))
    path = config.folder / MANIFEST
    content = yaml.safe_load(path.read_text())
    for one in content["budgets"]:
        assert one.pop("joined_blocks")  # as earlier versions wrote it
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="less than half a block at the edges of tiles: blocks"):
        prepare(config, read(config))


def test_a_study_whose_blocks_fit_the_tiles_goes_on_with_those_it_had(make_config):
    config = make_config(space=SPACE, budget_px=16)
    prepare(config, read(config))
    path = config.folder / MANIFEST
    content = yaml.safe_load(path.read_text())
    for one in content["budgets"]:
        del one["joined_blocks"], one["order"]  # as earlier versions wrote it
    path.write_text(yaml.safe_dump(content))
    prepare(config, read(config))
    more = make_config(space=SPACE, budget_px=16, seeds=config.seeds + 1)
    prepare(more, read(more))
    budgets = yaml.safe_load(path.read_text())["budgets"]
    assert len(budgets) == len(content["budgets"]) + len(more.fractions)


def test_budgets_of_every_order_have_files_and_records_of_their_own(make_config):
    config = make_config(space=SPACE, compare="budget_order=random/diverse", budget_px=16)
    budgets = prepare(config, read(config))
    names = {path.stem for path in (config.folder / "budgets").glob("*.json")}
    assert {"s1-f0.25", "s1-f0.25-diverse"} <= names
    assert len(names) == len(budgets.train) == 2 * len(config.fractions) * (1 + config.seeds)
    prepare(config, read(config))
    recorded = yaml.safe_load((config.folder / MANIFEST).read_text())["budgets"]
    assert len({one["checksum"] for one in recorded}) == len(budgets.train)
    lines = budget_warnings(budgets, ["land", "water", "wood"])
    assert len(set(lines)) == len(lines)


def test_missing_budget_is_drawn_again_the_same(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    before = files(config)
    for kind in ("json", "png"):
        (config.folder / "budgets" / f"s1-f0.25.{kind}").unlink()
    prepare(config, read(config))
    assert files(config) == before


def test_pictures_of_the_test_tiles_of_an_older_study_are_added(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    before = files(config)
    shutil.rmtree(config.folder / "test_tiles")
    prepare(config, read(config))
    assert files(config) == before


def test_pictures_of_other_tiles_under_a_name_that_never_began_are_replaced(make_config):
    config = make_config(space=SPACE)
    prepare(config, read(config))
    before = files(config)["test_tiles/c1.jpg"]
    (config.folder / MANIFEST).unlink()
    (config.folder / "test_tiles" / "c1.jpg").write_bytes(b"of another data set")
    (config.folder / "test_tiles" / "z9.jpg").write_bytes(b"of another data set")
    prepare(config, read(config))
    written = files(config)
    assert written["test_tiles/c1.jpg"] == before
    assert "test_tiles/z9.jpg" not in written


def test_more_seeds_continue_and_keep_the_budgets_on_record(make_config):
    """Any other number of seeds under the same name was refused."""
    config = make_config(space=SPACE, seeds=2)
    prepare(config, read(config))
    before = files(config)
    more = make_config(space=SPACE, seeds=4)
    budgets = prepare(more, read(more))
    assert {seed for seed, _, _ in budgets.train} == {0, 1, 2, 3, 4}
    after = files(more)
    assert {name: after[name] for name in before if name != MANIFEST} == {
        name: content for name, content in before.items() if name != MANIFEST
    }
    old, new = (yaml.safe_load(one[MANIFEST]) for one in (before, after))
    assert new["study_id"] == old["study_id"]
    assert new["config"] == {**old["config"], "seeds": 4}
    num = len(old["budgets"])
    assert new["budgets"][:num] == old["budgets"]
    assert [(one["seed"], one["fraction_asked"]) for one in new["budgets"][num:]] == [
        (3, 0.25), (3, 0.5), (4, 0.25), (4, 0.5),
    ]  # fmt: skip
    assert all(
        one["checksum"]
        == budgets.train[one["seed"], one["fraction_asked"], one["order"]][0].checksum
        for one in new["budgets"]
    )
    assert [(one["seeds"], one["is_planned"]) for one in new["looks"]] == [(2, True), (4, False)]
    assert {name: new[name] for name in new if name not in ("config", "budgets", "looks")} == {
        name: old[name] for name in old if name not in ("config", "budgets", "looks")
    }
    prepare(more, read(more))
    assert files(more) == after


def test_a_kill_before_the_record_of_more_seeds_changes_nothing(make_config):
    """Budgets are written first: the next run finds them, with more seeds or without."""
    config = make_config(space=SPACE, seeds=2)
    prepare(config, read(config))
    before = files(config)[MANIFEST]
    more = make_config(space=SPACE, seeds=3)
    prepare(more, read(more))
    after = yaml.safe_load(files(more)[MANIFEST])
    (config.folder / MANIFEST).write_bytes(before)  # as a kill before it was written leaves it
    prepare(config, read(config))
    assert files(config)[MANIFEST] == before
    prepare(more, read(more))
    again = yaml.safe_load(files(more)[MANIFEST])
    for one in (after, again):
        del one["looks"][1]["added"]
    assert again == after


def test_fewer_seeds_are_refused_in_one_line(make_config):
    config = make_config(space=SPACE, seeds=4)
    prepare(config, read(config))
    before = files(config)
    fewer = make_config(space=SPACE, seeds=3)
    with pytest.raises(ConfigError) as caught:
        prepare(fewer, read(fewer))
    assert str(caught.value) == (
        "--seeds must be at least the 4 that the study 'tiny' has, got 3; write --seeds 4 to go "
        "on with them"
    )
    assert files(config) == before


def test_more_seeds_do_not_hide_what_else_changed(make_config):
    config = make_config(space=SPACE, seeds=2)
    prepare(config, read(config))
    other = make_config(space=SPACE, seeds=4, lr=0.0625)
    with pytest.raises(ConfigError, match="lr: "):
        prepare(other, read(other))


def test_validation_budgets_are_kept_and_verified_like_those_of_training(make_config):
    config = make_config(space=SPACE, val_frac="same", seeds=1)
    prepare(config, read(config))
    before = files(config)
    kept = {f"budgets/val-s{s}-f{f}.{k}" for s in (0, 1) for f in ("0.25", "0.50")
            for k in ("json", "png")}  # fmt: skip
    assert {name for name in before if "/val-" in name} == kept
    manifest = yaml.safe_load(before[MANIFEST])
    assert manifest["config"]["val_frac"] == "same"
    assert [(one["seed"], one["fraction_asked"]) for one in manifest["val_budgets"]] == [
        (0, 0.25), (0, 0.5), (1, 0.25), (1, 0.5),
    ]  # fmt: skip
    prepare(config, read(config))
    assert files(config) == before
    path = config.folder / "budgets" / "val-s1-f0.50.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"units": content["units"][::-1]}))
    with pytest.raises(DataError, match=r"val-s1-f0\.50"):
        prepare(config, read(config))


@pytest.mark.parametrize(("before", "now"), [("all", "same"), ("same", 0.5), (0.5, "all")])
def test_other_validation_under_an_old_name_is_refused(make_config, before, now):
    config = make_config(space=SPACE, val_frac=before, seeds=1)
    prepare(config, read(config))
    with pytest.raises(ConfigError, match=f"val_frac: {before} -> {now}"):
        prepare(make_config(space=SPACE, val_frac=now, seeds=1), read(config))


def test_a_study_that_knew_of_no_validation_budgets_goes_on(make_config):
    config = make_config(space=SPACE, seeds=1)
    prepare(config, read(config))
    path = config.folder / MANIFEST
    manifest = yaml.safe_load(path.read_text())
    del manifest["config"]["val_frac"], manifest["val_budgets"], manifest["equal_budgets"]
    path.write_text(yaml.safe_dump(manifest))
    assert prepare(config, read(config)).val == {}


def test_fractions_of_one_budget_are_written_once(make_config):
    config = make_config(space="label_frac=0.01/0.05/1", budget_unit="tile", seeds=1)
    prepare(config, read(config))
    manifest = yaml.safe_load(files(config)[MANIFEST])
    assert manifest["equal_budgets"] == [{"asked": [0.01, 0.05], "kept": 0.05}]
    assert {one["fraction_asked"] for one in manifest["budgets"]} == {0.05, 1.0}
    assert not list(config.folder.glob("budgets/*f0.01*"))


def test_nothing_is_written_where_no_two_budgets_differ(make_config):
    config = make_config(space="label_frac=0.01/0.05", budget_unit="tile", seeds=1)
    with pytest.raises(ConfigError, match="one and the same"):
        prepare(config, read(config))
    assert not config.folder.exists()
