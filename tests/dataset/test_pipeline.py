import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import affine_grid, grid_sample

from ladnn.config_training import Augmentation
from ladnn.dataset.augmentation import draw_variations, vary
from ladnn.dataset.pipeline import LabelledPixels, Shard, TrainingSampler, evaluation_batches, n_training_batches
from ladnn.errors import DatasetError

CPU = torch.device("cpu")


def _part(n: int, size_px: int = 32) -> LabelledPixels:
    generator = np.random.default_rng(n)
    labels = generator.choice([0.0, 1.0, np.nan], (n, 6)).astype(np.float32)
    return LabelledPixels(generator.integers(0, 256, (n, size_px, size_px), dtype=np.uint8), labels)


def _varied(pixels: torch.Tensor, augmentation: Augmentation | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return vary(pixels, draw_variations(len(pixels), augmentation or Augmentation(), generator))


@given(n=st.integers(2, 90), batch_size=st.integers(2, 40), epoch=st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_an_epoch_holds_each_image_once_with_its_labels_and_no_batch_of_one(n, batch_size, epoch):
    part = _part(n, size_px=4)
    batches = list(TrainingSampler(batch_size, 1).batches(part, epoch))
    assert len(batches) == n_training_batches(n, batch_size)
    assert sorted(np.concatenate([batch.rows for batch in batches]).tolist()) == list(range(n))
    assert all(2 <= len(batch.rows) <= max(batch_size, 3) for batch in batches)
    for batch in batches:
        np.testing.assert_array_equal(batch.labels.numpy(), part.labels[batch.rows])
        assert (batch.pixels.dtype, batch.pixels.shape) == (torch.uint8, (len(batch.rows), 4, 4))


def test_an_epoch_depends_on_seed_and_epoch_alone():
    part = _part(10)
    before = torch.random.get_rng_state()

    def epoch_of(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch.pixels for batch in TrainingSampler(4, seed).batches(part, epoch)])

    first = epoch_of(1, 1)
    torch.rand(3)  # whatever else draws from the global generator
    drawn = torch.random.get_rng_state()
    assert torch.equal(epoch_of(1, 1), first)
    assert not torch.equal(epoch_of(1, 2), first)
    assert not torch.equal(epoch_of(2, 1), first)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    torch.random.set_rng_state(before)


def test_a_variation_is_torch_s_affine_map_then_contrast_brightness_and_gamma():
    pixels = torch.from_numpy(_part(16, 40).pixels)
    variations = draw_variations(16, Augmentation(), torch.Generator().manual_seed(3))
    grid = affine_grid(variations[:, :6].view(-1, 2, 3), [16, 1, 40, 40], align_corners=False)
    moved = grid_sample(pixels.double().unsqueeze(1), grid.double(), padding_mode="border", align_corners=False)
    contrast, brightness, gamma = variations[:, 6:].double().T.reshape(3, -1, 1, 1, 1)
    centre = moved.mean((1, 2, 3), keepdim=True) / 255
    expected = ((moved.round() / 255 - centre) * contrast + centre + brightness).clamp(0, 1).pow(gamma) * 255
    differences = (vary(pixels, variations).double() - expected.squeeze(1)).abs()
    assert (differences > 0.51).double().mean() < 0.001  # where a moved grey lies between two


def test_augmentation_leaves_the_source_alone_and_keeps_the_subject_in_view():
    pixels = torch.zeros(64, 48, 48, dtype=torch.uint8)
    pixels[:, 16:32, 16:32] = 200
    original = pixels.clone()
    result = _varied(pixels)
    assert torch.equal(pixels, original)
    assert (result.dtype, result.shape) == (pixels.dtype, pixels.shape)
    assert bool((result[:, 20:28, 20:28].float().mean(dim=(1, 2)) > 120).all())
    areas = (result > result.amax(dim=(1, 2), keepdim=True) / 2).float().sum(dim=(1, 2)) / 16**2
    assert 0.55 < float(areas.min()) < 0.85 < 1.15 < float(areas.max()) < 1.6


def test_beyond_a_slice_there_is_more_of_its_edge_and_no_air():
    pixels = torch.full((64, 48, 48), 200, dtype=torch.uint8)
    assert torch.equal(_varied(pixels, Augmentation(contrast=0, brightness=0, gamma=0)), pixels)


def test_about_half_of_the_slices_are_mirrored():
    pixels = torch.zeros(200, 32, 32, dtype=torch.uint8)
    pixels[:, 8:24, 4:12] = 255
    result = _varied(pixels).float()
    mirrored = result[:, :, 16:].sum(dim=(1, 2)) > result[:, :, :16].sum(dim=(1, 2))
    assert 70 < int(mirrored.sum()) < 130


def test_an_epoch_taken_up_and_one_shared_by_shards_have_the_same_batches():
    part = _part(11)
    whole = list(TrainingSampler(4, 1).batches(part, 2))
    late = list(TrainingSampler(4, 1).batches(part, 2, first=1))
    shards = [list(TrainingSampler(4, 1, shard=Shard(rank, 3)).batches(part, 2)) for rank in range(3)]
    assert len(late) == len(whole) - 1
    for batch, again, *parts in zip(whole[1:], late, *(shard[1:] for shard in shards), strict=True):
        np.testing.assert_array_equal(again.rows, batch.rows)
        assert torch.equal(again.pixels, batch.pixels)
        assert torch.equal(torch.cat([piece.pixels for piece in parts]), batch.pixels)
        assert all(torch.equal(piece.labels, batch.labels) or batch.labels.isnan().any() for piece in parts)


def test_augmentation_that_is_switched_off_or_has_no_width_leaves_the_slices_as_they_are():
    part, off = _part(6), Augmentation(enabled=False)
    none = Augmentation(
        scale=0, shear=0, mirror=False, rotation_deg=0, translation=0, contrast=0, brightness=0, gamma=0
    )
    for batch in TrainingSampler(4, 1, off).batches(part, 1):
        np.testing.assert_array_equal(batch.pixels.numpy(), part.pixels[batch.rows])
    assert torch.equal(_varied(torch.from_numpy(part.pixels), none), torch.from_numpy(part.pixels))


def test_evaluation_batches_are_the_slices_in_order():
    part = _part(7)
    batches = list(evaluation_batches(part, 3, CPU))
    np.testing.assert_array_equal(torch.cat(batches).numpy(), part.pixels)
    shards = [torch.cat(list(evaluation_batches(part, 3, CPU, Shard(rank, 2)))) for rank in range(2)]
    np.testing.assert_array_equal(torch.cat(shards).numpy(), part.pixels)


def test_a_read_only_memory_map_serves_as_pixels(tmp_path):
    part = _part(5)
    np.save(tmp_path / "pixels.npy", part.pixels)
    mapped = LabelledPixels(np.load(tmp_path / "pixels.npy", mmap_mode="r"), part.labels)
    first, second = (torch.cat([b.pixels for b in TrainingSampler(2, 1).batches(p, 1)]) for p in (part, mapped))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "part",
    [
        _part(1),
        LabelledPixels(_part(4).pixels, _part(3).labels),
        LabelledPixels(_part(4).pixels.astype(np.float32), _part(4).labels),
        LabelledPixels(_part(4).pixels[:, :16], _part(4).labels),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(part):
    with pytest.raises(DatasetError, match=r"part must be|at least 2 images"):
        next(TrainingSampler(2, 1).batches(part, 1))
