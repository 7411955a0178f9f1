import pytest
import torch

from trainables.data.patches.hidden import hidden_squares


def _drawn(share, *, num=3, patch_px=64, seed=0):
    return hidden_squares(num, patch_px, share, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_share_asked_for_is_hidden_in_every_patch(share):
    hidden = _drawn(share)
    assert (hidden.shape, hidden.dtype) == ((3, 64, 64), torch.bool)
    assert (hidden.float().mean(dim=(1, 2)) == share).all()


def test_what_is_hidden_are_squares_of_an_eighth_of_the_side():
    hidden = _drawn(0.5)
    cells = hidden.reshape(3, 8, 8, 8, 8).transpose(2, 3).reshape(3, 64, 64)
    assert set(cells.sum(dim=2).flatten().tolist()) == {0, 64}
    assert not torch.equal(hidden[0], hidden[1])


@pytest.mark.parametrize(("share", "num_cells"), [(0.001, 1), (0.999, 63)])
def test_something_is_hidden_and_something_is_seen(share, num_cells):
    assert (_drawn(share).sum(dim=(1, 2)) == 64 * num_cells).all()


def test_sides_that_eight_does_not_divide_are_covered():
    hidden = _drawn(0.5, num=400, patch_px=35)
    assert hidden.shape == (400, 35, 35)
    assert hidden.float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert (hidden.float().mean(dim=0) - 0.5).abs().max() < 0.2  # no row or column is left out


def test_the_same_generator_hides_the_same_and_another_others():
    assert torch.equal(_drawn(0.5), _drawn(0.5))
    assert not torch.equal(_drawn(0.5), _drawn(0.5, seed=1))
