from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.pixel_set import mask_strips, pack_pixels
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.positions import GridPositions, RandomPositions, patch_grid
from trainables.data.patches.sampler import PatchSampler
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.settings.process_group import ProcessGroup

PATCH = 32
CPU = torch.device("cpu")


def _pixels(tiles, labels):
    """The set of the pixels that are labelled in `labels` (P,)."""
    strips = mask_strips(replace(tiles, masks=labels))
    return pack_pixels(tiles.shapes, ((n, top, mask != IGNORE_INDEX) for n, top, mask in strips))


class Given:
    """Positions handed out as they were given."""

    def __init__(self, annotated, anywhere=()):
        self._annotated, self._anywhere = torch.tensor(annotated), torch.tensor(anywhere)

    def annotated(self, step, num):
        assert num == len(self._annotated)
        return self._annotated

    def anywhere(self, step, num):
        assert num == len(self._anywhere)
        return self._anywhere


def _sampler(tiles, labels, positions=None, **options):
    options = {
        "patch_px": PATCH,
        "num_annotated": 4,
        "num_anywhere": 0,
        "augment": False,
        "seed": 0,
        "device": CPU,
        "scaling": uint8_scaling(len(tiles.images)),
    } | options
    pixels = _pixels(tiles, labels)
    if positions is None:
        where = {"patch_px": options["patch_px"], "seed": options["seed"]}
        positions = RandomPositions(tiles, pixels, **where)
    return PatchSampler(tiles, pixels, positions, **options)


def _symmetries(patch):
    """The eight symmetries of the square, by NumPy, of the last two axes."""
    return [
        np.rot90(side, turns, axes=(-2, -1))
        for side in (patch, np.flip(patch, -1))
        for turns in range(4)
    ]


def _naive_crop(tiles, labels, position, patch_px):
    """Image (C, H, W), mask and inside (H, W) of one patch by padding and slicing."""
    index, top, left = position
    tile = tiles.tile(index)
    pixels = slice(tiles.starts[index], tiles.starts[index + 1])
    mask = labels[pixels].reshape(tile.mask.shape)
    height, width = mask.shape
    beyond = ((0, max(0, patch_px - height)), (0, max(0, patch_px - width)))
    cut = np.s_[..., top : top + patch_px, left : left + patch_px]
    return (
        np.pad(tile.image, ((0, 0), *beyond), mode="edge")[cut],
        np.pad(mask, beyond, constant_values=IGNORE_INDEX)[cut],
        np.pad(np.ones_like(mask, dtype=bool), beyond, constant_values=False)[cut],
    )


def _addresses(images):
    """Packed pixel index of every pixel of patches cut from `address_tiles` (N, H, W)."""
    bands = (images * 255).round().to(torch.int64)
    return bands[:, 0] * 65536 + bands[:, 1] * 256 + bands[:, 2]


def _random_masks(*sizes, unlabelled=0.2, seed=0):
    generator = np.random.default_rng(seed)
    masks = [generator.integers(0, 3, size, dtype=np.uint8) for size in sizes]
    for mask in masks:
        mask[generator.random(mask.shape) < unlabelled] = IGNORE_INDEX
    return masks


def test_shapes_types_and_ranges(random_tiles):
    tiles = random_tiles()
    batch = _sampler(tiles, tiles.masks, num_anywhere=3, augment=True).draw(0)
    assert (batch.images.shape, batch.images.dtype) == ((7, 3, PATCH, PATCH), torch.float32)
    assert (batch.masks.shape, batch.masks.dtype) == ((4, PATCH, PATCH), torch.int64)
    assert (batch.shown.shape, batch.shown.dtype) == ((7, PATCH, PATCH), torch.bool)
    assert 0 <= batch.images.min() < 0.01
    assert 0.99 < batch.images.max() <= 1
    assert set(batch.masks.unique().tolist()) == {0, 1, 2, IGNORE_INDEX}


@pytest.mark.parametrize("augment", [False, True])
def test_labels_of_clicks_are_drawn_and_masks_are_not_even_held(random_tiles, augment):
    tiles = random_tiles()
    unit = Unit(kind="point", size_px=3)
    _, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3)
    given = [pixels.given(n, 0, tile.mask).ravel() for n, tile in enumerate(tiles)]
    given = np.concatenate(given)
    assert 0.2 < (given != tiles.masks)[given != IGNORE_INDEX].mean() < 0.8
    options = {"num_annotated": 8, "num_anywhere": 2, "augment": augment}
    options |= {"patch_px": PATCH, "seed": 0, "device": CPU, "scaling": uint8_scaling(3)}
    positions = RandomPositions(tiles, pixels, patch_px=PATCH, seed=0)
    false_masks = np.zeros_like(tiles.masks)
    drawn = PatchSampler(replace(tiles, masks=false_masks), pixels, positions, **options).draw(0)
    relabelled = replace(tiles, masks=given)
    plain = replace(pixels, labels=None)
    expected = PatchSampler(relabelled, plain, positions, **options).draw(0)
    assert torch.equal(drawn.masks, expected.masks)
    assert torch.equal(drawn.images, expected.images)
    assert set(drawn.masks.unique().tolist()) == {0, 1, 2, IGNORE_INDEX}


def test_patches_equal_naive_crops(random_tiles):
    tiles = random_tiles()
    annotated = [[0, 0, 0], [0, 38, 13], [1, 0, 58], [2, 5, 32]]
    anywhere = [[1, 0, 3], [2, 32, 0]]
    sampler = _sampler(tiles, tiles.masks, Given(annotated, anywhere), num_anywhere=2)
    batch = sampler.draw(0)
    for i, position in enumerate(annotated + anywhere):
        image, mask, inside = _naive_crop(tiles, tiles.masks, position, PATCH)
        assert np.array_equal(batch.images[i].numpy(), image.astype(np.float32) / np.float32(255))
        assert np.array_equal(batch.shown[i].numpy(), inside)
        if i < len(annotated):
            assert np.array_equal(batch.masks[i].numpy(), mask)


@pytest.mark.parametrize("position", [[0, 17, 9], [1, 0, 30]])
def test_all_eight_symmetries_appear_with_image_and_mask_aligned(address_tiles, position):
    masks = _random_masks((70, 45), (20, 90))
    tiles = address_tiles(masks)
    # The packed index says where every pixel of a turned patch came from.
    sampler = _sampler(
        tiles, tiles.masks, Given([position]), num_annotated=1, num_anywhere=0, augment=True
    )
    image, mask, inside = _naive_crop(tiles, tiles.masks, position, PATCH)
    wanted = [s.astype(np.float32) / np.float32(255) for s in _symmetries(image)]
    seen = []
    for step in range(200):
        batch = sampler.draw(step)
        matching = [k for k, s in enumerate(wanted) if np.array_equal(s, batch.images[0].numpy())]
        assert len(matching) == 1
        seen.append(matching[0])
        assert np.array_equal(batch.masks[0].numpy(), _symmetries(mask)[matching[0]])
        assert np.array_equal(batch.shown[0].numpy(), _symmetries(inside)[matching[0]])
    counts = np.bincount(seen, minlength=8)
    assert ((counts - 25) ** 2 / 25).sum() < 24.3  # chi-square, 7 degrees, 0.1 %


def test_patches_for_the_l1_term_are_turned_too_and_by_their_own_stream(address_tiles):
    tiles = address_tiles(_random_masks((64, 64)))
    position = [[0, 5, 7]]
    sampler = _sampler(
        tiles,
        tiles.masks,
        Given(position, position),
        num_annotated=1,
        num_anywhere=1,
        augment=True,
    )
    image = _naive_crop(tiles, tiles.masks, position[0], PATCH)[0]
    wanted = [s.astype(np.float32) / np.float32(255) for s in _symmetries(image)]
    pairs = [
        tuple(
            next(k for k, s in enumerate(wanted) if np.array_equal(s, patch.numpy()))
            for patch in sampler.draw(step).images
        )
        for step in range(120)
    ]
    assert {second for _, second in pairs} == set(range(8))
    assert any(first != second for first, second in pairs)


def test_without_augmentation_nothing_is_turned(address_tiles):
    tiles = address_tiles(_random_masks((64, 64)))
    sampler = _sampler(tiles, tiles.masks, Given([[0, 5, 7]]), num_annotated=1)
    first = _addresses(sampler.draw(0).images)[0]
    assert first[0, :3].tolist() == [5 * 64 + 7, 5 * 64 + 8, 5 * 64 + 9]
    for step in range(1, 20):
        assert torch.equal(_addresses(sampler.draw(step).images)[0], first)


def test_beyond_a_small_tile_nothing_is_labelled_and_nothing_is_inside(random_tiles):
    tiles = random_tiles([(20, 40), (7, 1)], unlabelled=0)
    batch = _sampler(tiles, tiles.masks, Given([[0, 0, 3], [1, 0, 0]]), num_annotated=2).draw(0)
    assert batch.shown.sum(dim=(1, 2)).tolist() == [20 * 32, 7]
    assert torch.equal(batch.shown, batch.masks != IGNORE_INDEX)
    assert batch.shown[0, :20].all()
    assert batch.shown[1, :7, :1].all()


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
@pytest.mark.parametrize(
    ("kind", "size_px", "sampling", "augment"),
    [
        ("block", 16, "grid", True),
        ("block", 16, "random", False),
        ("point", 3, "grid", False),
        ("tile", 0, "grid", True),
    ],
)
def test_an_epoch_reveals_just_the_pixels_of_the_manifest(
    address_tiles, fraction, kind, size_px, sampling, augment
):
    """Patches overlap: the trap was that 10 % of them reveal most of the pixels."""
    # 16 rows of 8 pixels are the smallest tile: below 1 % of all, so that no unit exceeds it.
    tiles = address_tiles(_random_masks((96, 80), (24, 64), (64, 64), (8, 12), (128, 40)))
    unit = Unit(kind=kind, size_px=size_px)
    budget, pixels = draw_budget(
        tiles, fraction=fraction, seed=3, unit=unit, num_classes=3, smallest=0.01
    )
    where = {"patch_px": PATCH, "seed": 0}
    if sampling == "grid":
        positions = GridPositions(tiles, pixels, stride_px=8, **where)
        num_patches = len(patch_grid(tiles, PATCH, 8))
    else:
        positions, num_patches = RandomPositions(tiles, pixels, **where), 1200
    sampler = PatchSampler(
        tiles,
        pixels,
        positions,
        scaling=uint8_scaling(3),
        patch_px=PATCH,
        num_annotated=8,
        num_anywhere=8,
        augment=augment,
        seed=0,
        device=CPU,
    )
    given = [pixels.given(n, 0, tile.mask).ravel() for n, tile in enumerate(tiles)]
    given = np.concatenate(given)
    revealed, shown = np.zeros((2, len(tiles.masks)), dtype=bool)
    for step in range(-(-num_patches // 8)):
        batch = sampler.draw(step)
        addresses = _addresses(batch.images)
        masks = batch.masks.numpy()
        assert (masks != IGNORE_INDEX).any(axis=(1, 2)).all()
        known = addresses[:8].numpy()[masks != IGNORE_INDEX]
        assert np.array_equal(given[known], masks[masks != IGNORE_INDEX])
        revealed[known] = True
        shown[addresses[batch.shown].numpy()] = True
    labelled = (tiles.masks != IGNORE_INDEX).sum()
    assert revealed.sum() == budget.annotated_px
    assert revealed.sum() / labelled == budget.fraction_reached <= fraction
    held = np.concatenate([pixels.tile(index).reshape(-1) for index in range(len(tiles))])
    assert np.array_equal(revealed, held)
    assert shown.mean() > 0.9  # as images, nearly all of the tiles is seen


def test_patches_for_the_l1_term_come_from_all_over_the_tiles(address_tiles):
    tiles = address_tiles(_random_masks((96, 80), (24, 64)))
    labels = np.full_like(tiles.masks, IGNORE_INDEX)
    labels[0] = 1
    sampler = _sampler(tiles, labels, num_annotated=1, num_anywhere=8)
    shown = np.zeros(len(labels), dtype=bool)
    for step in range(100):
        batch = sampler.draw(step)
        shown[_addresses(batch.images[1:])[batch.shown[1:]].numpy()] = True
    assert shown.mean() > 0.9  # the pixel of a corner lies in a single position


@pytest.mark.parametrize("augment", [False, True])
def test_the_same_seed_and_step_give_the_same_batch(random_tiles, augment):
    tiles = random_tiles()

    def draw(seed, step):
        sampler = _sampler(tiles, tiles.masks, num_anywhere=2, augment=augment, seed=seed)
        return sampler.draw(step)

    one, again, next_step, next_seed = draw(0, 5), draw(0, 5), draw(0, 6), draw(1, 5)
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.masks, again.masks)
    for other in (next_step, next_seed):
        assert not torch.equal(one.images[:4], other.images[:4])
        assert not torch.equal(one.images[4:], other.images[4:])


@pytest.mark.parametrize("sampling", [RandomPositions, GridPositions])
def test_unet_and_urec_of_one_seed_get_the_same_annotated_patches(random_tiles, sampling):
    """Effects are differences of pairs: patches for the L1 term must not disturb the others."""
    tiles = random_tiles()
    options = {"stride_px": 16} if sampling is GridPositions else {}

    def sampler(num_anywhere):
        positions = sampling(tiles, _pixels(tiles, tiles.masks), patch_px=PATCH, seed=2, **options)
        options_ = {"num_anywhere": num_anywhere, "augment": True, "seed": 2}
        return _sampler(tiles, tiles.masks, positions, **options_)

    unet, urec, more = sampler(0), sampler(4), sampler(9)
    for step in range(10):
        plain = unet.draw(step)
        for joined in (urec.draw(step), more.draw(step)):
            assert torch.equal(plain.images, joined.images[:4])
            assert torch.equal(plain.masks, joined.masks)
            assert torch.equal(plain.shown, joined.shown[:4])


def test_steps_can_be_drawn_in_any_order(random_tiles):
    tiles = random_tiles()
    ahead, jumping = (_sampler(tiles, tiles.masks, num_anywhere=2, augment=True) for _ in range(2))
    forward = [ahead.draw(step).images for step in range(6)]
    for step in (5, 0, 3):
        assert torch.equal(jumping.draw(step).images, forward[step])


@pytest.mark.parametrize("num_bands", [1, 4])
def test_any_number_of_bands(random_tiles, num_bands):
    tiles = random_tiles(num_bands=num_bands)
    batch = _sampler(tiles, tiles.masks, Given([[0, 3, 4]]), num_annotated=1).draw(0)
    image = _naive_crop(tiles, tiles.masks, (0, 3, 4), PATCH)[0]
    assert np.array_equal(batch.images[0].numpy(), image.astype(np.float32) / np.float32(255))


def test_a_batch_can_be_changed_without_changing_the_tiles(random_tiles):
    tiles = random_tiles()
    sampler = _sampler(tiles, tiles.masks)
    before = tiles.images.copy(), tiles.masks.copy()
    batch = sampler.draw(0)
    batch.images.zero_()
    batch.masks.zero_()
    assert np.array_equal(tiles.images, before[0])
    assert np.array_equal(tiles.masks, before[1])


@pytest.mark.gpu
def test_a_gpu_cuts_the_same_patches(random_tiles):
    tiles = random_tiles()
    draws = []
    for device in ("cpu", "cuda"):
        sampler = _sampler(
            tiles, tiles.masks, num_anywhere=4, augment=True, device=torch.device(device)
        )
        draws.append([sampler.draw(step) for step in range(5)])
    for on_cpu, on_gpu in zip(*draws, strict=True):
        assert on_gpu.images.is_cuda
        assert torch.equal(on_cpu.images, on_gpu.images.cpu())
        assert torch.equal(on_cpu.masks, on_gpu.masks.cpu())
        assert torch.equal(on_cpu.shown, on_gpu.shown.cpu())


class TestHidden:
    def test_patches_that_are_segmented_are_never_hidden(self, random_tiles):
        tiles = random_tiles()
        sampler = _sampler(tiles, tiles.masks, num_anywhere=6, hidden_share=0.5)
        plain = _sampler(tiles, tiles.masks, num_anywhere=6)
        for step in range(3):
            batch, seen = sampler.draw(step), plain.draw(step)
            assert torch.equal(batch.images, seen.images)
            assert not batch.hidden[:4].any()
            assert (batch.hidden[4:].float().mean(dim=(1, 2)) == 0.5).all()
            assert torch.equal(batch.inputs[:4], seen.images[:4])
            assert not torch.equal(batch.inputs[4:], seen.images[4:])

    def test_hidden_pixels_have_the_mean_colour_of_what_is_seen(self, random_tiles):
        tiles = random_tiles()
        batch = _sampler(tiles, tiles.masks, num_anywhere=6, hidden_share=0.5).draw(0)
        other = replace(batch, images=torch.where(batch.hidden[:, None], 0.5, batch.images))
        assert torch.equal(batch.inputs, other.inputs)  # nothing hidden shines through
        for image, shown, hidden, given in zip(
            batch.images, batch.shown, batch.hidden, batch.inputs, strict=True
        ):
            assert torch.equal(given[:, ~hidden], image[:, ~hidden])
            mean = image[:, shown & ~hidden].mean(dim=1, keepdim=True)
            if hidden.any():
                torch.testing.assert_close(given[:, hidden], mean.expand(-1, int(hidden.sum())))

    def test_squares_follow_from_seed_and_step_and_not_from_the_workers(self, random_tiles):
        tiles = random_tiles()
        options = {"num_anywhere": 5, "hidden_share": 0.5}
        alone = _sampler(tiles, tiles.masks, **options)
        drawn = [alone.draw(step).hidden[4:] for step in (0, 1)]
        assert not torch.equal(*drawn)
        assert torch.equal(_sampler(tiles, tiles.masks, **options).draw(1).hidden[4:], drawn[1])
        for size in (2, 3):
            parts = []
            for rank in range(size):
                group = ProcessGroup(rank=rank, size=size)
                batch = _sampler(tiles, tiles.masks, group=group, **options).draw(0)
                parts.append(batch.hidden[len(batch.masks) :])
            assert torch.equal(torch.cat(parts), drawn[0])

    def test_nothing_is_hidden_unless_asked_for(self, random_tiles):
        tiles = random_tiles()
        for options in ({"num_anywhere": 2}, {"hidden_share": 0.5}):
            batch = _sampler(tiles, tiles.masks, **options).draw(0)
            assert batch.hidden is None
            assert batch.inputs is batch.images


def test_a_batch_knows_its_step_and_the_weights_of_its_classes(random_tiles):
    tiles = random_tiles()
    weights = torch.tensor([1.0, 2.0, 3.0])
    batch = _sampler(tiles, tiles.masks, class_weights=weights).draw(7)
    assert batch.step == 7
    assert torch.equal(batch.class_weights, weights)
    assert _sampler(tiles, tiles.masks).draw(0).class_weights is None


def _views_alike(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("images", "pasted", "shown")
    )


class TestStrongViews:
    """Views of patches from anywhere, for pseudo-labels."""

    OPTIONS: ClassVar = {"augment": True, "num_annotated": 3}

    def test_they_are_of_the_patches_that_would_be_reconstructed(self, random_tiles):
        tiles = random_tiles()
        plain = _sampler(tiles, tiles.masks, num_anywhere=4, **self.OPTIONS).draw(5)
        alone = _sampler(tiles, tiles.masks, num_views=4, **self.OPTIONS).draw(5)
        both = _sampler(tiles, tiles.masks, num_views=4, num_anywhere=4, **self.OPTIONS).draw(5)
        assert plain.views is None
        for batch in (alone, both):
            assert torch.equal(batch.views.patches, plain.images[3:])
            assert torch.equal(batch.masks, plain.masks)
            assert (batch.num_segmented, len(batch.views.images)) == (7, 4)
        assert _views_alike(alone.views, both.views)
        assert torch.equal(alone.images, plain.images[:3])
        assert torch.equal(alone.shown, plain.shown[:3])
        assert torch.equal(both.images, plain.images)
        assert torch.equal(both.shown, plain.shown)

    def test_the_network_sees_them_between_annotated_patches_and_hidden_ones(self, random_tiles):
        tiles = random_tiles()
        options = {"num_anywhere": 4, "hidden_share": 0.5, **self.OPTIONS}
        plain = _sampler(tiles, tiles.masks, **options).draw(1)
        batch = _sampler(tiles, tiles.masks, num_views=4, **options).draw(1)
        assert torch.equal(batch.hidden, plain.hidden)
        expected = torch.cat([plain.inputs[:3], batch.views.images, plain.inputs[3:]])
        assert torch.equal(batch.inputs, expected)
        assert torch.equal(batch.views.patches, plain.images[3:])  # the teacher sees all

    @pytest.mark.parametrize("num_anywhere", [0, 5])
    @pytest.mark.parametrize("size", [2, 3, 5])
    def test_workers_together_view_what_one_does(self, random_tiles, size, num_anywhere):
        """The box of a worker's last view is cut from another worker's patch."""
        tiles = random_tiles()
        options = {"num_views": 5, "num_anywhere": num_anywhere, "augment": True}
        options["num_annotated"] = 5
        whole = _sampler(tiles, tiles.masks, **options).draw(3)
        parts = [
            _sampler(tiles, tiles.masks, group=ProcessGroup(rank=rank, size=size), **options).draw(
                3
            )
            for rank in range(size)
        ]
        for name in ("images", "pasted", "shown"):
            found = torch.cat([getattr(part.views, name) for part in parts])
            assert torch.equal(found, getattr(whole.views, name)), name
        labels = torch.randint(9, (5, PATCH, PATCH), generator=torch.Generator().manual_seed(0))
        first, mixed = 0, []
        for part in parts:
            numbers = [number % 5 for number in range(first, first + len(part.views.patches))]
            assert torch.equal(part.views.patches, whole.views.patches[numbers])
            mixed.append(part.views.mix(labels[numbers]))
            first += len(part.views.images)
        assert torch.equal(torch.cat(mixed), whole.views.mix(labels))
        num_images = sum(len(part.images) for part in parts)
        assert num_images == len(whole.images) == 5 + num_anywhere

    @pytest.mark.parametrize("num_bands", [1, 3, 8])
    def test_nodata_goes_with_the_boxes(self, random_tiles, num_bands):
        tiles = random_tiles(num_bands=num_bands)
        shown = np.random.default_rng(0).random(tiles.masks.shape) > 0.4
        tiles = replace(tiles, shown=shown)
        options = {"num_views": 4, **self.OPTIONS}
        batch = _sampler(tiles, tiles.masks, **options).draw(0)
        plain = _sampler(tiles, tiles.masks, num_anywhere=4, **self.OPTIONS).draw(0)
        of_patches = plain.shown[3:]
        assert 0 < of_patches.float().mean() < 0.7
        assert torch.equal(batch.views.shown, batch.views.mix(of_patches))
        assert batch.views.images.shape == (4, num_bands, PATCH, PATCH)
        assert batch.views.images.min() >= 0
        assert batch.views.images.max() <= 1

    def test_they_follow_from_seed_and_step(self, random_tiles):
        tiles = random_tiles()
        options = {"num_views": 3, **self.OPTIONS}
        one, again = (_sampler(tiles, tiles.masks, **options) for _ in range(2))
        other = _sampler(tiles, tiles.masks, seed=1, **options)
        one.draw(0)  # what was drawn before changes nothing
        torch.rand(3)
        assert _views_alike(one.draw(7).views, again.draw(7).views)
        assert not torch.equal(one.draw(7).views.pasted, one.draw(8).views.pasted)
        assert not torch.equal(one.draw(7).views.pasted, other.draw(7).views.pasted)

    def test_views_of_another_number_than_is_reconstructed_are_refused(self, random_tiles):
        tiles = random_tiles()
        with pytest.raises(ValueError, match=r"num_views must be 0 or 4 \(num_anywhere\), got 3"):
            _sampler(tiles, tiles.masks, num_views=3, num_anywhere=4)
