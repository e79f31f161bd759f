"""Made-up samples for the tests of drift: patients with several alike images each, at sites that differ from each other."""

import numpy as np
import pandas as pd

from ladnn.governance.drift.comparison import Sides
from ladnn.governance.drift.sample import Sample, joined

N_LEVELS = 6


def sample(rng: np.random.Generator, n_patients: int, name: str, *, by_model: bool = True) -> Sample:
    """Patients with one to three images; sites differ in brightness, format and tube voltage."""
    n_images = rng.integers(1, 4, n_patients)
    site = rng.integers(0, 2, n_patients)
    level = rng.normal(size=(n_patients, N_LEVELS)) + 1.5 * site[:, None]
    positive = rng.random(n_patients) < 0.5
    embedding = rng.normal(size=(n_patients, 3)) + positive[:, None]

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, n_images, axis=0)

    total = int(n_images.sum())
    columns = {f"intensity.i{k}": each(level)[:, k] + 0.2 * rng.normal(size=total) for k in range(N_LEVELS)}
    columns["acquisition.kvp"] = np.where(each(site) == 0, np.nan, 100.0 + 20 * each(rng.integers(0, 2, n_patients)))
    columns["acquisition.format"] = np.where(each(site) == 0, "PNG", "DICOM")
    columns["label.covid"] = each(positive).astype(np.float64)
    if by_model:
        columns |= {f"embedding.c{k}": each(embedding)[:, k] for k in range(3)}
        columns["prediction.covid"] = np.clip(0.4 * each(positive) + 0.6 * rng.random(total), 0, 1)
    patients = each(np.array([f"{name}{index}" for index in range(n_patients)]))
    return Sample(pd.DataFrame(columns), patients, each(np.array(["site-a", "site-b"])[site]))


def two_sides(seed: int, n_reference: int = 90, n_current: int = 60) -> Sides:
    """Reference, two thirds of it seen by the model before, and current, all of the same distribution."""
    rng = np.random.default_rng(seed)
    fitted = sample(rng, 2 * n_reference // 3, "f", by_model=False)
    unseen = sample(rng, n_reference // 3, "u")
    return Sides(joined(fitted, unseen), sample(rng, n_current, "c"), frozenset({"site-a", "site-b"}))


def with_noise(side: Sample, rng: np.random.Generator, n: int = 100) -> Sample:
    """Add properties that say nothing."""
    names = [f"intensity.n{place:03d}" for place in range(n)]
    noise = pd.DataFrame(rng.normal(size=(side.n_images, n)), columns=names)
    return Sample(pd.concat([side.table, noise], axis="columns"), side.patients, side.sites)
