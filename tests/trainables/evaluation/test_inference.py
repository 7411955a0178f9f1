import warnings

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.normalisation import to_target
from trainables.evaluation.inference import evaluate_tile, predict_logits, predict_reconstruction
from trainables.networks.build import build_network

pytestmark = pytest.mark.numbers

WINDOWS = {"window_px": 32, "step_px": 20, "batch_size": 3, "device": "cpu"}


class Identity(nn.Module):
    """Returns its images in both branches; counts forward passes and the sizes it saw."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def segment(self, images):
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.shapes.append(tuple(images.shape))
        return images

    reconstruct = segment


def _image(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _network(name="urec"):
    """A small network whose statistics keep its signals alive.

    It computes in float64: channels that are all but constant amplify the rounding of float32 to
    1e-4 of a logit, and kernels differ with the size of a batch.
    """
    model = build_network(name, width=4, num_classes=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    model.double().encoder.register_forward_pre_hook(
        lambda _, arguments: tuple(argument.double() for argument in arguments)
    )
    return model


def _window_by_window(forward, image, window_px, step_px):
    """The sum over windows and their number per pixel, by the plainest loop there is."""
    height, width = image.shape[1:]
    tops = {min(t, max(height - window_px, 0)) for t in range(0, height, step_px)}
    lefts = {min(t, max(width - window_px, 0)) for t in range(0, width, step_px)}
    total, counts = 0, np.zeros((height, width))
    for top in sorted(tops):
        for left in sorted(lefts):
            rows, columns = slice(top, top + window_px), slice(left, left + window_px)
            window = torch.from_numpy(image[:, rows, columns].astype(np.float32) / 255)
            with torch.no_grad():
                output = forward(window[None])[0].numpy()
            if counts.max() == 0:
                total = np.zeros((len(output), height, width))
            total[:, rows, columns] += output
            counts[rows, columns] += 1
    return total, counts


@pytest.mark.parametrize("size", [(70, 45), (32, 81), (20, 50), (64, 64), (17, 23)])
def test_logits_against_window_by_window(size):
    model, image = _network().eval(), _image(3, *size)
    expected, _ = _window_by_window(model.segment, image, 32, 20)
    logits = predict_logits(model, image, **WINDOWS)
    assert logits.shape == (4, *size)
    assert logits.dtype == torch.float32
    assert logits.std() > 0.01
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(70, 45), (20, 50)])
def test_reconstruction_against_window_by_window(size):
    model, image = _network().eval(), _image(3, *size)
    total, counts = _window_by_window(model.reconstruct, image, 32, 20)
    rebuilt = predict_reconstruction(model, image, **WINDOWS)
    assert rebuilt.shape == (3, *size)
    assert rebuilt[0].std() > 0.01
    np.testing.assert_allclose(rebuilt.numpy(), total / counts, atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "urec"])
def test_the_batch_size_changes_no_class(name):
    model, image = _network(name), _image(3, 90, 75)
    one, three, many = (
        predict_logits(model, image, **WINDOWS | {"batch_size": batch_size})
        for batch_size in (1, 3, 100)
    )
    torch.testing.assert_close(one, three, atol=1e-5, rtol=0)
    torch.testing.assert_close(one, many, atol=1e-5, rtol=0)
    clear = one.topk(2, dim=0).values.diff(dim=0)[0].abs() > 3e-5
    assert clear.float().mean() > 0.99
    assert torch.equal(one.argmax(0)[clear], many.argmax(0)[clear])


def test_logits_are_added_where_windows_overlap():
    image = np.full((1, 4, 6), 255, dtype=np.uint8)
    counts = predict_logits(Identity(), image, window_px=4, step_px=3, batch_size=2, device="cpu")
    assert counts[0].tolist() == [[1, 1, 2, 2, 1, 1]] * 4  # columns 0 ... 3 and 2 ... 5


def test_averaging_the_identity_gives_the_image_back():
    image = _image(3, 71, 53)
    rebuilt = predict_reconstruction(Identity(), image, **WINDOWS)
    np.testing.assert_allclose(rebuilt.numpy(), image / 255, rtol=1e-6)


def test_a_small_image_is_one_window_of_its_own_size():
    model = Identity()
    logits = predict_logits(model, _image(3, 20, 50), **WINDOWS | {"window_px": 64})
    assert logits.shape == (3, 20, 50)
    assert model.shapes == [(1, 3, 20, 50)]


def test_a_window_as_large_as_the_image_runs_once():
    model, image = Identity(), _image(3, 32, 32)
    logits = predict_logits(model, image, **WINDOWS)
    np.testing.assert_allclose(logits.numpy(), image / 255, rtol=1e-6)
    assert len(model.shapes) == 1


def test_no_window_runs_twice_where_the_step_fits():
    model = Identity()
    predict_logits(model, _image(3, 64, 64), window_px=32, step_px=32, batch_size=99, device="cpu")
    assert model.shapes == [(4, 3, 32, 32)]


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_restored(training):
    model = _network().train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    predict_logits(model, _image(3, 40, 40), **WINDOWS)
    assert model.training is training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_arrays_and_tensors_give_the_same():
    model, image = _network(), _image(3, 40, 40)
    from_array = predict_logits(model, image, **WINDOWS)
    assert torch.equal(predict_logits(model, torch.from_numpy(image), **WINDOWS), from_array)


def test_read_only_arrays_cause_no_warning():
    image, mask = _image(3, 40, 40), np.zeros((40, 40), dtype=np.uint8)
    image.setflags(write=False)
    mask.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_tile(_network(), image, {"full": mask}, 4, **WINDOWS)


def test_each_reference_has_its_matrix_from_one_prediction():
    image = _image(2, 40, 40)
    prediction = (image[1] > image[0]).astype(np.uint8)
    full = np.random.default_rng(1).integers(0, 2, (40, 40), dtype=np.uint8)
    eroded = full.copy()
    eroded[10:20] = IGNORE_INDEX
    model = Identity()
    matrices = evaluate_tile(model, image, {"full": full, "eroded": eroded}, 2, **WINDOWS)
    assert len(model.shapes) == 2  # 4 windows in batches of 3
    for name, reference in (("full", full), ("eroded", eroded)):
        expected = [
            [((reference == r) & (prediction == p)).sum() for p in range(2)] for r in range(2)
        ]
        assert matrices[name].tolist() == expected
        assert matrices[name].dtype == torch.int64
    assert matrices["full"].sum() == 1600
    assert matrices["eroded"].sum() == 1200


def test_diverged_weights_are_no_class_map():
    model = _network()
    with torch.no_grad():
        model.segmentation.head.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match="logits must be finite"):
        evaluate_tile(
            model, _image(3, 40, 40), {"full": np.zeros((40, 40), np.uint8)}, 4, **WINDOWS
        )


def test_a_reference_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"reference 'eroded' must have the size of the image"):
        evaluate_tile(
            _network(), _image(3, 40, 40), {"eroded": np.zeros((40, 41), np.uint8)}, 4, **WINDOWS
        )


def test_unet_has_no_reconstruction():
    with pytest.raises(TypeError, match="must have a method `reconstruct`, got UNet"):
        predict_reconstruction(_network("unet"), _image(3, 40, 40), **WINDOWS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step_px": 33}, "step_px must be in 1"),
        ({"step_px": 0}, "step_px must be in 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_sizes_out_of_range_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        predict_logits(Identity(), _image(3, 40, 40), **WINDOWS | changed)


@pytest.mark.parametrize(
    "image",
    [np.zeros((3, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((3, 0, 8), np.uint8)],
)
def test_images_must_be_uint8_with_channels_first(image):
    with pytest.raises(ValueError, match=r"image must be uint8 \(C, H, W\)"):
        predict_logits(Identity(), image, **WINDOWS)


def test_maps_come_out_of_the_same_pass_and_change_no_count():
    image = _image(3, 90, 45)
    mask = np.random.default_rng(1).integers(0, 4, (90, 45), dtype=np.uint8)
    model = _network()
    predicted = np.full((90, 45), 99, np.uint8)
    reconstructed = np.full((90, 45, 3), 99, np.uint8)
    calls = []
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    alone = evaluate_tile(model, image, {"full": mask}, 4, **WINDOWS)
    num_alone = len(calls)
    kept = evaluate_tile(
        model, image, {"full": mask}, 4, **WINDOWS, predicted=predicted, reconstructed=reconstructed
    )
    assert len(calls) == 2 * num_alone
    assert torch.equal(kept["full"], alone["full"])
    logits = predict_logits(model, image, **WINDOWS)
    assert np.array_equal(predicted, logits.argmax(0).numpy())
    rebuilt = predict_reconstruction(model, image, **WINDOWS).mul(255).round().clamp(0, 255)
    difference = np.abs(reconstructed - rebuilt.permute(1, 2, 0).numpy())
    assert difference.max() <= 1  # a value half way may be rounded to either side
    assert (difference > 0).mean() < 0.001
    assert reconstructed.std() > 0


def test_a_normalised_reconstruction_is_shown_as_an_image():
    """Means and deviations of the windows are put back: a perfect one is the image."""

    class Normalising(Identity):
        def reconstruct(self, images):
            return to_target(images, "normalised")

        def forward(self, images):
            return self.segment(images), self.reconstruct(images)

    image = _image(3, 71, 53)
    rebuilt = predict_reconstruction(Normalising(), image, **WINDOWS, target="normalised")
    np.testing.assert_allclose(rebuilt.numpy(), image / 255, atol=1e-5)
    assert predict_reconstruction(Normalising(), image, **WINDOWS).min() < -1
    mask, kept = np.zeros((71, 53), np.uint8), np.empty((71, 53, 3), np.uint8)
    options = {"reconstructed": kept, "target": "normalised"}
    evaluate_tile(Normalising(), image, {"full": mask}, 3, **WINDOWS, **options)
    assert np.abs(kept.astype(int) - image.transpose(1, 2, 0)).max() <= 1


def test_the_reconstruction_of_one_band_and_a_class_map_without_it():
    image, mask = _image(3, 40, 33), np.zeros((40, 33), np.uint8)
    model = _network()
    reconstructed = np.empty((40, 33, 1), np.uint8)
    evaluate_tile(model, image, {"full": mask}, 4, **WINDOWS, reconstructed=reconstructed)
    first = predict_reconstruction(model, image, **WINDOWS)[0].mul(255).round().clamp(0, 255)
    assert np.abs(reconstructed[:, :, 0] - first.numpy()).max() <= 1
    predicted = np.full((40, 33), 99, np.uint8)
    evaluate_tile(_network("unet"), image, {"full": mask}, 4, **WINDOWS, predicted=predicted)
    assert predicted.max() < 4


def test_unet_has_no_reconstruction_to_keep():
    image, mask = _image(3, 40, 33), np.zeros((40, 33), np.uint8)
    with pytest.raises(TypeError, match="`reconstruct`"):
        evaluate_tile(
            _network("unet"), image, {"full": mask}, 4, **WINDOWS,
            reconstructed=np.empty((40, 33, 3), np.uint8),
        )  # fmt: skip
