"""The command line: what wins over what, and every bad input as one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import run_study
from study.machines.slots import this_machine
from study.settings.command_line import parse_arguments
from study.settings.presets import PRESETS
from trainables.errors import ConfigError

COMMAND = Path(__file__).parents[3] / "run_study.py"


def test_without_arguments():
    config, wanted = parse_arguments([])
    assert (config.name, config.preset, wanted) == ("demo", "demo", "study")


def test_every_option():
    text = (
        "--space lr --compare augment=no/yes --data d --models unet "
        "--preset smoke --trials 5 --seeds 6 --sampler random "
        "--pruner none --workers 0 --gpus 0.5 --cpus 2 --concurrent 3 "
        "--tracking-uri sqlite:///x.db --name n --output o --dry-run"
    )
    config, wanted = parse_arguments(text.split())
    assert wanted == "plan"
    assert (config.space, config.compare, config.data, config.models, config.preset) == (
        "lr", "augment=no/yes", "d", ("unet",), "smoke",
    )  # fmt: skip
    assert (config.trials, config.seeds, config.sampler, config.pruner) == (5, 6, "random", "none")
    assert (config.gpus, config.cpus, config.concurrent) == (0.5, 2.0, 3)
    assert (config.tracking_uri, config.name, config.output) == ("sqlite:///x.db", "n", "o")


def test_a_page_of_the_data_is_no_plan():
    assert parse_arguments(["--inspect"])[1] == "data"
    with pytest.raises(ConfigError, match="--inspect must be given without --dry-run"):
        parse_arguments(["--inspect", "--dry-run"])


def test_command_line_over_file_over_preset(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("preset: smoke\ntrials: 7\nseeds: 8\nlr: 0.25\nmodels: [unet]\n")
    config, _ = parse_arguments(["--config", str(file), "--seeds", "9"])
    assert (config.trials, config.seeds, config.models) == (7, 9, ("unet",))
    assert config.training.lr == 0.25
    assert config.training.width == PRESETS["smoke"].training.width
    config, _ = parse_arguments(["--config", str(file), "--models", "urec, unet"])
    assert config.models == ("urec", "unet")
    config, _ = parse_arguments(["--config", str(file), "--preset", "paper"])
    assert config.training.width == PRESETS["paper"].training.width
    assert (config.training.lr, config.trials) == (0.25, 7)


def test_profile_is_an_option_like_the_others(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("profile: true\n")
    assert not parse_arguments([])[0].profile
    assert parse_arguments(["--profile"])[0].profile
    assert parse_arguments(["--config", str(file)])[0].profile
    assert not parse_arguments(["--config", str(file), "--no-profile"])[0].profile
    file.write_text("profile: 1\n")
    with pytest.raises(ConfigError, match="profile must be of type bool, got 1"):
        parse_arguments(["--config", str(file)])


def test_a_study_goes_on_with_a_profile_or_without():
    plain, profiled = (parse_arguments(given)[0] for given in ([], ["--profile"]))
    older = {name: value for name, value in plain.to_plain().items() if name != "profile"}
    assert plain.changes(profiled.to_plain()) == []
    assert profiled.changes(plain.to_plain()) == profiled.changes(older) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_study_yaml_reads_back_as_the_same_study(tmp_path, preset):
    config, _ = parse_arguments(
        ["--preset", preset, "--space", "w1=0.01..0.5,label_frac=0.1/1", "--name", "a"]
    )
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"config": config.to_plain(), "provenance": {}}))
    assert parse_arguments(["--config", str(file)])[0] == config
    renamed, _ = parse_arguments(["--config", str(file), "--name", "b"])
    assert renamed.name == "b"
    assert renamed.changes(config.to_plain()) == []


def test_a_study_goes_on_with_the_domains_it_was_begun_with(tmp_path):
    """Another version's default range made the same command another study."""
    options = ["--name", "old", "--output", str(tmp_path)]
    manifest = tmp_path / "old" / "study.yaml"
    manifest.parent.mkdir()
    begun = {**parse_arguments(options)[0].to_plain(), "space": "w1=0.01..0.5,label_frac=0.1/1"}
    manifest.write_text(yaml.safe_dump({"config": begun}))
    config, _ = parse_arguments(options)
    assert config.changes(begun) == []
    assert [one.text for one in config.varied] == ["w1=0.01..0.5", "label_frac=0.1/1"]
    for space in ("w1=0.01..0.9,label_frac", "w1, label_frac,lr"):
        changed, _ = parse_arguments([*options, "--space", space])
        assert [text.split(":")[0] for text in changed.changes(begun)] == ["space"]
    for damaged in (b"", b"\xff\x00", b"config: 3", b"a: [", b"config: {space: 3}"):
        manifest.write_bytes(damaged)
        assert parse_arguments(options)[0].space == "w1,label_frac"


def test_a_study_goes_on_with_the_seeds_it_has(tmp_path):
    """Without --seeds the same command fell back to the preset's, fewer than the study had."""
    options = ["--name", "old", "--output", str(tmp_path)]
    manifest = tmp_path / "old" / "study.yaml"
    manifest.parent.mkdir()
    for seeds, looks in ((10, (10,)), ([8, 11, 14], (8, 11, 14))):
        begun = parse_arguments(options)[0].to_plain() | {"seeds": seeds}
        manifest.write_text(yaml.safe_dump({"config": begun}))
        assert parse_arguments(options)[0].planned_looks == looks
        assert parse_arguments([*options, "--look", "8"])[0].look == 8
        assert parse_arguments([*options, "--seeds", "20"])[0].planned_looks == (20,)
        file = tmp_path / "c.yaml"
        file.write_text("seeds: 4\n")
        assert parse_arguments([*options, "--config", str(file)])[0].seeds == 4
    manifest.write_text(yaml.safe_dump({"config": begun | {"seeds": "damaged"}}))
    assert parse_arguments(options)[0].seeds == PRESETS["demo"].seeds


BAD_FILES = {
    "key.yaml": b"lerning_rate: 0.1\n",
    "broken.yaml": b"space: [w1\nname: x\n",
    "tab.yaml": b"space:\n\t- w1\n",
    "list.yaml": b"- space\n",
    "empty.yaml": b"",
    "latin.yaml": b"name: caf\xe9\n",
    "date.yaml": b"name: 2024-13-45\n",
    "number.yaml": b"1: 2\n",
    "study.yaml": b"provenance: {}\n",
    "text.yaml": b"trials: many\n",
}


@pytest.fixture
def inputs(tmp_path: Path, write_dataset) -> Path:
    """A folder with everything that bad inputs name."""
    folder = tmp_path / "cwd"
    (folder / "empty").mkdir(parents=True)
    write_dataset(folder / "no_masks", masks=False)
    for name, content in BAD_FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "missing.yaml"], "got 'missing.yaml'"),
        (["--config", "empty"], "got 'empty' (Is a directory)"),
        (["--config", "key.yaml"], "got lerning_rate"),
        (["--config", "broken.yaml"], "must be YAML"),
        (["--config", "tab.yaml"], "must be YAML"),
        (["--config", "list.yaml"], "must hold `key: value` lines, got ['space']"),
        (["--config", "empty.yaml"], "must hold `key: value` lines, got None"),
        (["--config", "latin.yaml"], "must be YAML"),
        (["--config", "date.yaml"], "must be YAML"),
        (["--config", "number.yaml"], "got 1"),
        (["--config", "study.yaml"], "must hold `key: value` lines, got None"),
        (["--config", "text.yaml"], "trials must be of type int"),
        (["--trials", "many"], "--trials: invalid int value"),
        (["--seeds", "-1"], "--seeds must be at least 1"),
        (["--trial", "3"], "unrecognized arguments: --trial 3"),
        (["--name"], "--name: expected one argument"),
        (["--models", "urec,"], "--models must be one of"),
        (["unet"], "unrecognized arguments: unet"),
    ],
)
def test_refused_in_one_line(inputs, monkeypatch, arguments, said):
    monkeypatch.chdir(inputs)
    with pytest.raises(ConfigError) as caught:
        parse_arguments(arguments)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message


def listing(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def run_command(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        [sys.executable, str(COMMAND), *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--space", "w2"], "'w2'"),
        (["--space", "w1=1.2"], "w1 must be in [0, 1), got 1.2"),
        (["--space", "label_frac=0"], "label_frac must be in (0, 1], got 0"),
        (["--data", "nowhere"], "nowhere"),
        (["--data", "empty"], "the folder is empty"),
        (["--data", "no_masks"], "masks must exist for every tile"),
        (["--name", "a/b"], "--name must be"),
        (["--lr", "0.1"], "unrecognized arguments: --lr 0.1"),
        (["--config", "missing.yaml"], "--config must be a file"),
        (["--config", "key.yaml"], "lerning_rate"),
        (["--config", "broken.yaml"], "--config must be YAML"),
        (["--preset", "nope"], "--preset must be one of"),
        (
            ["--preset", "compact", "--workers", "64"],
            f"at most the {this_machine().num_cpus:g} that fit this machine",
        ),
        (["--workers", "8..2"], "--workers must be a number, or a range such as 2..8"),
        (["--address", "auto"], "--storage must be given with --address"),
        (["--storage", "ftp://x"], "--storage must be a folder or a URI"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(inputs, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(inputs)
    before = listing(inputs)
    assert run_study.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("run_study.py: ")
    assert said in line
    assert listing(inputs) == before


def test_bad_input_ends_the_command_itself(inputs):
    done = run_command(inputs, "--space", "w2")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "'w2'" in line


@pytest.mark.slow
def test_dry_run_writes_nothing(inputs, tiny_folder, tiny_training):
    options_of_file = {**tiny_training, "data": str(tiny_folder), "models": ["urec"]}
    (inputs / "tiny.yaml").write_text(yaml.safe_dump(options_of_file))
    before = listing(inputs)
    options = ("--config", "tiny.yaml", "--space", "w1,label_frac=0.1/1")
    done = run_command(inputs, "--dry-run", *options)
    assert done.returncode == 0
    assert "urec-f0.10" in done.stdout
    assert "estimated time: about" in done.stdout
    first, second = done.stderr.splitlines()
    assert "reading" in first
    assert "calibrating" in second
    assert listing(inputs) == before


def test_help_names_every_option(inputs):
    done = run_command(inputs, "--help")
    assert done.returncode == 0
    for option in ("--space", "--data", "--tracking-uri", "--dry-run", "--concurrent"):
        assert option in done.stdout


def test_ctrl_c_is_one_line_too(monkeypatch, capsys):
    def stop(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_study, "parse_arguments", stop)
    assert run_study.main([]) == 130
    assert capsys.readouterr().err.splitlines() == [
        "run_study.py: stopped; the same command continues the study"
    ]


def test_a_mistyped_option_is_refused_without_its_login(capsys):
    assert run_study.main(["--tracking-urii=https://me:s3cret@host"]) == 2
    said = capsys.readouterr().err
    assert "--tracking-urii=https://host" in said
    assert "s3cret" not in said


def test_a_file_that_is_no_configuration_is_refused_without_its_login(tmp_path, capsys):
    file = tmp_path / "list.yaml"
    file.write_text("- tracking_uri: https://me:s3cret@host")
    assert run_study.main(["--config", str(file)]) == 2
    assert "s3cret" not in capsys.readouterr().err


def test_options_were_read_only_after_torch_had_been_imported():
    """A refused option waited seconds for it, as did each process that paints the scenes."""
    slow = "torch ray mlflow optuna pandas scipy rasterio"
    code = f"import sys, run_study; print(set({slow!r}.split()) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=COMMAND.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")
