"""What each probe is given to look at: numbers that describe a file or a picture, but not its lung disease.

The exception is `intensity`, whole-picture statistics that disease moves a little; its limits are wider.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from ladnn.dataset.canonical_form import blacken_lungs
from ladnn.dataset.intensity import PERCENTILES, residues
from ladnn.intake.decode import encode_canonical

PixelProbe = Literal["intensity", "borders", "outside_lungs"]
Probe = Literal["file_properties", "intensity", "borders", "outside_lungs"]
PROBES: tuple[Probe, ...] = get_args(Probe)

Pixels = NDArray[np.uint8]
Features = NDArray[np.float64]

_BORDER_SHARE = 14
"""A border is one part in so many of the picture's side."""
_SMALL_PX = 16
"""Side of the picture that the probe outside the lungs sees, beside statistics."""
_LEVELS = 16
_EVERY = 4
_ABSENT = -1.0


def contributed_file(rows: pd.DataFrame) -> Features:
    """Describe the files as they were contributed (N, F), from the manifest alone.

    Size, aspect ratio, bytes a pixel, format, colour mode and, where the format states it, how it was acquired.
    """
    shape = _shape(rows)
    shape["bytes_per_px"] = rows["n_bytes"] / (rows["width_px"] * rows["height_px"])
    acquisition = pd.DataFrame([json.loads(text) for text in rows["acquisition"]], index=rows.index)
    stated = pd.concat([rows[["original_format", "original_mode"]], acquisition], axis="columns")
    return _numbers(pd.concat([shape, stated], axis="columns"))


def stored_file(rows: pd.DataFrame, pictures: Pixels) -> Features:
    """Describe what decoding leaves of the files (N, F): size, aspect ratio, and how well the pixels compress."""
    return np.column_stack([_numbers(_shape(rows)), framed_file(pictures)])


def framed_file(pictures: Pixels) -> Features:
    """Describe what is left where all pictures have one size (N, 1): how well the pixels compress."""
    return np.array([[len(encode_canonical(picture)) / picture.size] for picture in pictures])


def describe(pictures: Pixels, probe: PixelProbe) -> Features:
    """Describe each of uint8 (N, S, S) pictures for one probe (N, F)."""
    return np.array([_DESCRIBERS[probe](np.asarray(picture)) for picture in pictures])


def _shape(rows: pd.DataFrame) -> pd.DataFrame:
    shape = rows[["width_px", "height_px"]].astype(np.float64)
    shape["aspect_ratio"] = shape["width_px"] / shape["height_px"]
    return shape


def _numbers(table: pd.DataFrame) -> Features:
    """Turn text columns into one column a value; what is missing is a value of its own."""
    numeric = table.apply(pd.to_numeric, errors="coerce")
    text = table.columns[(numeric.isna() & table.notna()).any()]
    columns = [numeric.drop(columns=text).fillna(_ABSENT)]
    if len(text):
        columns.append(pd.get_dummies(table[text].astype(str)))
    return np.asarray(pd.concat(columns, axis="columns"), dtype=np.float64)


def _statistics(pixels: Pixels) -> list[float]:
    histogram = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    levels = histogram.reshape(_LEVELS, -1).sum(axis=1)
    return [
        *levels.tolist(),
        *np.percentile(pixels, PERCENTILES).tolist(),
        float(pixels.mean()),
        float(pixels.std()),
        float(histogram[0]),
        float(histogram[255]),
        float(np.count_nonzero(histogram)),
    ]


def _texture(pixels: Pixels) -> Iterator[float]:
    for residue in residues(pixels):
        sample = residue[::_EVERY, ::_EVERY]  # percentiles of all pixels would take most of a probe's time
        yield from (float(residue.mean()), float(residue.std()), *np.percentile(sample, (10, 50, 90)).tolist())


def _reduced(pixels: Pixels, width: int, height: int) -> list[float]:
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BOX)
    return [float(level) for level in np.asarray(image).ravel()]


def _whole(pixels: Pixels) -> list[float]:
    return [*_statistics(pixels), *_texture(pixels)]


def _borders(pixels: Pixels) -> list[float]:
    depth = max(4, len(pixels) // _BORDER_SHARE)
    sides = (pixels[:depth], pixels[-depth:], pixels[:, :depth].T, pixels[:, -depth:].T)
    return [number for side in sides for number in (*_reduced(side, _SMALL_PX, 4), *_statistics(side))]


def _outside_lungs(pixels: Pixels) -> list[float]:
    left = blacken_lungs(pixels)
    return [*_reduced(left, _SMALL_PX, _SMALL_PX), *_statistics(left), *_texture(left)]


_DESCRIBERS: dict[PixelProbe, Callable[[Any], list[float]]] = {
    "intensity": _whole,
    "borders": _borders,
    "outside_lungs": _outside_lungs,
}
