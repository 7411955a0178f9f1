import numpy as np
import pytest
import torch

from trainables.settings.seeds import numpy_generator, torch_generator

PURPOSES = (
    "budget",
    "weights",
    "patches",
    "unannotated_patches",
    "augmentation",
    "unannotated_augmentation",
    "dropout",
    "hidden",
)


def _numpy_draw(*arguments):
    return tuple(numpy_generator(*arguments).integers(0, 2**62, 3).tolist())


def _torch_draw(*arguments):
    return tuple(torch.randint(2**62, (3,), generator=torch_generator(*arguments)).tolist())


@pytest.mark.parametrize("draw", [_numpy_draw, _torch_draw])
def test_equal_arguments_give_equal_streams(draw):
    assert draw(3, "patches", 17) == draw(3, "patches", 17)


@pytest.mark.parametrize("draw", [_numpy_draw, _torch_draw])
def test_every_seed_purpose_and_index_has_its_own_stream(draw):
    drawn = [draw(s, p, i) for s in range(5) for p in PURPOSES for i in range(20)]
    assert len(set(drawn)) == 5 * len(PURPOSES) * 20


def test_streams_are_the_same_on_every_machine_and_in_every_version():
    # Written down once: a change would silently give old studies other budgets and patches.
    assert _numpy_draw(7, "budget") == (
        2882744023523087010,
        4137668341471484581,
        3577218852397956696,
    )
    assert _torch_draw(7, "patches", 3) == (
        4446138100072084378,
        990017859989845860,
        2689768013064119416,
    )


def test_an_independent_derivation_of_the_numpy_stream():
    expected = np.random.default_rng(np.random.SeedSequence([7, 0])).random(4)
    assert numpy_generator(7, "budget").random(4).tolist() == expected.tolist()


def test_global_generators_are_neither_read_nor_advanced():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    _torch_draw(0, "weights")
    _numpy_draw(0, "budget")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_an_unknown_purpose_is_refused():
    with pytest.raises(KeyError, match="chance"):
        torch_generator(0, "chance")
