"""`--dry-run`."""

from study.plan import plan_text


def test_plan_names_arms_trials_and_disk(make_config, tmp_path):
    config = make_config(
        space="w1=0.01..0.5,label_frac=0.1/1", trials=4, seeds=3, cpus=1, concurrent=1
    )
    text = plan_text(config)
    lines = text.splitlines()
    assert lines[0] == f"study tiny, preset demo, to {tmp_path / 'studies' / 'tiny'}"
    assert [line.split() for line in lines[1:5]] == [
        ["urec-f0.10", "4", "search", "+", "3", "confirm", "(w1=0.01..0.5)"],
        ["unet-f0.10", "1", "search", "+", "3", "confirm", "(nothing", "to", "search)"],
        ["urec-f1.00", "4", "search", "+", "3", "confirm", "(w1=0.01..0.5)"],
        ["unet-f1.00", "1", "search", "+", "3", "confirm", "(nothing", "to", "search)"],
    ]
    assert "22 trials of 4 steps with 2 patches, 1 at once" in text
    assert "MiB" in lines[-1]
    assert list(tmp_path.iterdir()) == []


def test_plan_in_epochs(make_config):
    assert "trials of 5 epochs with 2 patches" in plan_text(make_config(epochs=5))


def test_plan_says_at_least_as_much_disk_as_is_demanded(make_config):
    config = make_config(width=32, seeds=2, models=["urec"], space="label_frac=1", concurrent=1)
    mib = float(plan_text(config).splitlines()[-1].split()[-2])
    assert mib == round((5 + 2) * 25_062_729 * 4 / 2**20)
