"""Random variations of slices, a batch at a time, with torch alone.

Augmented pixels are 8-bit grey again, so that training feeds the network just what evaluation and the service feed it.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ladnn.config_training import Augmentation

_N_AFFINE = 6


def draw_variations(n: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw what is done to each of n slices.

    Args:
        n: slices.
        augmentation: largest changes.
        generator: on the CPU, so that every device gets the same variations.

    Returns:
        float32 (n, 9): a map from output to input in coordinates of -1 to 1 (2 x 3, row by row), then factor of the
        contrast, change of the brightness (share of white) and gamma.
    """

    def draw(largest: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * largest

    zoom = 1 / (1 + draw(augmentation.scale))
    mirror = torch.where(torch.rand(n, generator=generator) < (0.5 if augmentation.mirror else 0), -1.0, 1.0)
    angle = draw(math.radians(augmentation.rotation_deg))
    shear = torch.tan(draw(augmentation.shear))
    # A shift of the image's side is 2 in these coordinates.
    shift_x, shift_y = (draw(2 * augmentation.translation) for _ in range(2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = [zoom * mirror * cos, zoom * mirror * (shear * cos - sin), shift_x]
    row_y = [zoom * sin, zoom * (shear * sin + cos), shift_y]
    contrast, brightness, gamma = (
        1 + draw(augmentation.contrast),
        draw(augmentation.brightness),
        draw(augmentation.gamma).exp(),
    )
    return torch.stack([*row_x, *row_y, contrast, brightness, gamma], dim=1)


def vary(pixels: Tensor, variations: Tensor) -> Tensor:
    """Return a variation of each slice: affine map, then contrast, brightness and gamma.

    Args:
        pixels: uint8 (B, S, S), on any device.
        variations: of `draw_variations`, float32 (B, 9), on the same device.

    Returns:
        uint8 (B, S, S); where the map reaches beyond the slice, the edge goes on: black would be taken for air.
    """
    grid = _affine_grid(variations[:, :_N_AFFINE], pixels.shape[-1])
    moved = grid_sample(pixels.float().unsqueeze(1), grid, mode="bilinear", padding_mode="border", align_corners=False)
    grey = moved.flatten(1)
    tones = _tones(grey.mean(1, keepdim=True) / 255, variations[:, _N_AFFINE:])
    varied: Tensor = tones.gather(1, grey.round_().long()).view_as(pixels)
    return varied


def _affine_grid(maps: Tensor, size_px: int) -> Tensor:
    """Return where each pixel comes from, float32 (B, S, S, 2); torch's `affine_grid` multiplies matrices for it."""
    centres = (torch.arange(size_px, device=maps.device) * 2 + 1) / size_px - 1
    right, down, shift = maps.view(-1, 1, 1, 2, 3).unbind(-1)
    grid: Tensor = right * centres.view(1, 1, -1, 1) + (down * centres.view(1, -1, 1, 1) + shift)
    return grid


def _tones(centre: Tensor, changes: Tensor) -> Tensor:
    """Return what becomes of each of 256 greys: powers of a table are fewer than powers of pixels.

    Args:
        centre: mean grey of each slice as a share of white, float32 (B, 1).
        changes: contrast, brightness and gamma, float32 (B, 3).

    Returns:
        uint8 (B, 256).
    """
    contrast, brightness, gamma = changes.T.unsqueeze(-1).unbind()
    greys = torch.arange(256, device=changes.device) / 255
    tones = ((greys - centre) * contrast + centre + brightness).clamp(0, 1).pow(gamma)
    greys = tones.mul(255).round()
    return greys.to(torch.uint8)
