"""Owns what each kind of phantom patient suffers from: which lesions, where and how large, slice by slice."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

KINDS = ("covid", "normal", "nodule", "mass", "pneumonia")
_KIND_SHARES = (0.5, 0.18, 0.08, 0.08, 0.16)


@dataclass(frozen=True, slots=True)
class Focus:
    """One opacity. Angles run from the back (0) over the side to the front (pi)."""

    sign: int
    """-1 right lung, 1 left lung."""
    angle_rad: float
    depth_mm: float
    """Distance of its middle from the costal pleura."""
    half_mm: tuple[float, float]
    """Half extent along the pleura and at right angles to it."""
    density: Literal["GGO", "Csld"]
    rise_hu: float = 0.0
    """How much ground glass adds to the parenchyma's density."""
    paving: bool = False
    bronchogram: bool = False


@dataclass(frozen=True, slots=True)
class SeptalLines:
    """A row of thickened interlobular septa along the pleura."""

    sign: int
    angle_rad: float
    count: int


@dataclass(frozen=True, slots=True)
class Tumour:
    """A solid nodule (up to 30 mm across) or mass."""

    sign: int
    angle_rad: float
    depth_mm: float
    radius_mm: float
    spiculated: bool


@dataclass(frozen=True, slots=True)
class SliceDisease:
    """All that is wrong on one slice."""

    foci: tuple[Focus, ...] = ()
    septa: tuple[SeptalLines, ...] = ()
    tumours: tuple[Tumour, ...] = ()


def draw_kind(rng: np.random.Generator) -> str:
    """Draw the kind of a patient; half are "covid"."""
    return str(rng.choice(KINDS, p=_KIND_SHARES))


def draw_disease(kind: str, n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    """Draw the disease of every slice of a patient; slices away from the worst one show less."""
    draw = {"covid": _covid, "normal": _normal, "nodule": _nodule, "mass": _mass, "pneumonia": _pneumonia}[kind]
    return draw(n_slices, rng)


def _normal(n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    del rng
    return (SliceDisease(),) * n_slices


def _covid(n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    """Peripheral, mostly bilateral patches, mainly ground glass (Bao et al. 2020, doi:10.1016/j.jacr.2020.03.006).

    Patches measure some 3 to 11 cm along the pleura; they take up 19 % of the lung of a slice that shows any.
    """
    found = _covid_lesions(rng)
    only_side = int(rng.choice([-1, 1])) if rng.random() < 0.12 else None
    worst = int(rng.integers(n_slices))
    slices = []
    for number in range(n_slices):
        # Sorted: a set of strings has another order in every process, and the draws would go to other lesions.
        kept = {lesion for lesion in sorted(found) if number == worst or rng.random() < 0.75}
        shown = kept or {next(lesion for lesion in ("GGO", "Csld", "InSepThi") if lesion in found)}
        slices.append(_covid_slice(shown, only_side, rng))
    return tuple(slices)


def _covid_lesions(rng: np.random.Generator) -> set[str]:
    found = {lesion for lesion, share in (("GGO", 0.86), ("Csld", 0.36), ("InSepThi", 0.2)) if rng.random() < share}
    found = found or {"GGO"}
    if "GGO" in found and rng.random() < 0.24:
        found.add("CrPa")
    if "Csld" in found and rng.random() < 0.4:
        found.add("AirBr")
    return found


def _covid_slice(shown: set[str], only_side: int | None, rng: np.random.Generator) -> SliceDisease:
    densities: list[Literal["GGO", "Csld"]] = []
    if shown & {"GGO", "CrPa"}:
        densities += ["GGO"] * int(rng.integers(1, 5))
    if shown & {"Csld", "AirBr"}:
        densities += ["Csld"] * int(rng.integers(1, 3))
    first = only_side or int(rng.choice([-1, 1]))
    signs = [only_side or (first if i % 2 == 0 else -first) for i in range(len(densities))]
    rise = float(rng.uniform(190, 380))
    foci = []
    for i, (sign, density) in enumerate(zip(signs, densities, strict=True)):
        lead = i == 0 or densities[i - 1] != density
        paving = density == "GGO" and "CrPa" in shown and (lead or rng.random() < 0.5)
        bronchogram = density == "Csld" and "AirBr" in shown and lead
        foci.append(_peripheral(sign, density, rise, (paving, bronchogram), rng))
    septa = _septal_rows(only_side, rng) if "InSepThi" in shown else ()
    return SliceDisease(tuple(foci), septa)


def _peripheral(
    sign: int,
    density: Literal["GGO", "Csld"],
    rise_hu: float,
    signs_within: tuple[bool, bool],
    rng: np.random.Generator,
) -> Focus:
    paving, bronchogram = signs_within
    large = 1.25 if paving or bronchogram else 1.0
    along = rng.uniform(20, 54) if density == "GGO" else rng.uniform(16, 36)
    across = rng.uniform(13, 27) if density == "GGO" else rng.uniform(12, 21)
    return Focus(
        sign=sign,
        angle_rad=float(np.pi * rng.beta(1.5, 2.6)),
        depth_mm=float(rng.uniform(8, 20)),
        half_mm=(large * along, large * across),
        density=density,
        rise_hu=float(rise_hu * rng.uniform(0.85, 1.15)),
        paving=paving,
        bronchogram=bronchogram,
    )


def _septal_rows(only_side: int | None, rng: np.random.Generator) -> tuple[SeptalLines, ...]:
    count = int(rng.integers(1, 4))
    signs = [only_side or int(sign) for sign in rng.choice([-1, 1], count)]
    return tuple(SeptalLines(sign, float(rng.uniform(0.5, 2.4)), int(rng.integers(4, 9))) for sign in signs)


def _nodule(n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    shown = int(rng.integers(n_slices))
    tumours = tuple(_tumour(rng.uniform(4, 9.5), rng, spiculated=False) for _ in range(int(rng.integers(1, 3))))
    return tuple(SliceDisease(tumours=tumours) if i == shown else SliceDisease() for i in range(n_slices))


def _mass(n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    tumour = _tumour(rng.uniform(16, 27), rng, spiculated=True)
    # Some cancers have a ground-glass halo or block a septal lymphatic, so that a lesion alone is no diagnosis.
    radius = tumour.radius_mm * 1.55
    halo = Focus(tumour.sign, tumour.angle_rad, tumour.depth_mm, (radius, radius), "GGO", float(rng.uniform(200, 330)))
    foci = (halo,) if rng.random() < 0.25 else ()
    septa = _septal_rows(tumour.sign, rng)[:1] if rng.random() < 0.15 else ()
    shown = int(rng.integers(n_slices))
    sick = SliceDisease(foci, septa, (tumour,))
    return tuple(sick if i == shown else SliceDisease() for i in range(n_slices))


def _tumour(radius_mm: float, rng: np.random.Generator, *, spiculated: bool) -> Tumour:
    depth = radius_mm + rng.uniform(3, 26)
    return Tumour(int(rng.choice([-1, 1])), float(rng.uniform(0.3, 2.7)), float(depth), float(radius_mm), spiculated)


def _pneumonia(n_slices: int, rng: np.random.Generator) -> tuple[SliceDisease, ...]:
    pattern = str(rng.choice(["lobar", "bronchial", "viral"], p=[0.5, 0.28, 0.22]))
    sign = int(rng.choice([-1, 1]))
    worst = int(rng.integers(n_slices))
    slices = []
    for number in range(n_slices):
        if number != worst and rng.random() > 0.65:
            slices.append(SliceDisease())
        elif pattern == "lobar":
            slices.append(_lobar(sign, rng))
        else:
            slices.append(_patchy(None if pattern == "viral" else sign, rng))
    return tuple(slices)


def _lobar(sign: int, rng: np.random.Generator) -> SliceDisease:
    angle, depth = float(rng.uniform(0.3, 2.5)), float(rng.uniform(16, 32))
    half = (float(rng.uniform(28, 46)), float(rng.uniform(20, 34)))
    core = Focus(sign, angle, depth, half, "Csld", bronchogram=bool(rng.random() < 0.5))
    rim = Focus(sign, angle, depth, (half[0] * 1.45, half[1] * 1.45), "GGO", float(rng.uniform(200, 340)))
    return SliceDisease((rim, core) if rng.random() < 0.45 else (core,))


def _patchy(sign: int | None, rng: np.random.Generator) -> SliceDisease:
    """Patches anywhere between hilum and pleura, in one lung or (viral, much like COVID-19) in both."""
    foci = []
    for _ in range(int(rng.integers(2, 5))):
        density: Literal["GGO", "Csld"] = "GGO" if rng.random() < (0.8 if sign is None else 0.45) else "Csld"
        half = (float(rng.uniform(18, 48)), float(rng.uniform(13, 27)))
        where = (sign or int(rng.choice([-1, 1])), float(rng.uniform(0.2, 2.7)), float(rng.uniform(10, 50)))
        foci.append(Focus(*where, half, density, float(rng.uniform(190, 360))))
    return SliceDisease(tuple(foci))
