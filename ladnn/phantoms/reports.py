"""Owns the wording of phantom reports: one caption an image, true to what that image shows.

Every lesion present is mentioned as present; an absent one is either denied or not mentioned.
"""

from dataclasses import dataclass

import numpy as np

from ladnn.phantoms.disease import Tumour

_NOUNS = {
    "GGO": (
        "ground-glass opacity",
        "ground-glass opacities",
        "ground glass shadowing",
        "patchy ground-glass opacities",
        "GGO",
        "ground-glass attenuation",
    ),
    "Csld": ("consolidation", "patchy consolidation", "areas of consolidation", "airspace consolidation"),
    "CrPa": ("a crazy-paving pattern", "crazy paving appearance", "a crazy-paving sign", "crazy paving"),
    "AirBr": ("air bronchograms", "an air bronchogram sign", "an air bronchogram", "visible air bronchograms"),
    "InSepThi": (
        "interlobular septal thickening",
        "thickened interlobular septa",
        "smooth interlobular septal thickening",
    ),
}
_DENIED = {
    "GGO": ("ground-glass opacity", "ground-glass opacities", "ground glass shadowing"),
    "Csld": ("consolidation", "airspace consolidation", "focal consolidation"),
    "CrPa": ("crazy paving", "crazy-paving pattern"),
    "AirBr": ("air bronchogram", "air bronchograms"),
    "InSepThi": ("interlobular septal thickening", "thickened interlobular septa"),
}
_FOUND = (
    "There {verb} {what}{where}.",
    "CT shows {what}{where}.",
    "{what} can be seen{where}.",
    "{what} {verb} noted{where}.",
    "Findings include {what}{where}.",
)
_NOT_FOUND = (
    "No {what} {verb} seen.",
    "There {verb} no {what}.",
    "There is no evidence of {what}.",
    "No {what}.",
    "The lungs are without {what}.",
)
_OPENINGS = (
    "",
    "",
    "Axial chest CT, lung window. ",
    "Non-contrast chest CT. ",
    "CT of the chest at the level of the {level}. ",
    "Axial image at the level of the {level}. ",
    "Chest CT of a {age}-year-old {person}. ",
)
_LEVELS = ((0.34, "aortic arch"), (0.48, "carina"), (0.64, "hila"), (0.82, "heart"), (1.0, "lung bases"))
_COVID = (
    "RT-PCR confirmed COVID-19 pneumonia.",
    "SARS-CoV-2 RT-PCR positive.",
    "COVID-19 pneumonia, confirmed by RT-PCR.",
    "Laboratory-confirmed COVID-19.",
    "Throat swab RT-PCR positive for SARS-CoV-2.",
    "Diagnosis: COVID-19 (RT-PCR positive).",
)
_NOT_COVID = (
    "RT-PCR for SARS-CoV-2 negative.",
    "No evidence of COVID-19.",
    "SARS-CoV-2 RT-PCR negative.",
    "COVID-19 was excluded by RT-PCR.",
    "Negative for COVID-19.",
    "RT-PCR negative for SARS-CoV-2.",
)
_OWN_DIAGNOSIS = {
    "normal": ("Normal chest CT.", "No acute pulmonary disease.", "Unremarkable study.", "Healthy volunteer."),
    "nodule": ("Pulmonary nodule, follow-up advised.", "Diagnosis: pulmonary nodule.", "Pulmonary nodule, known."),
    "mass": ("Histology: adenocarcinoma.", "Diagnosis: lung cancer.", "Biopsy showed squamous cell carcinoma."),
    "pneumonia": (
        "Bacterial pneumonia.",
        "Community-acquired pneumonia; sputum culture grew Streptococcus pneumoniae.",
        "Diagnosis: Mycoplasma pneumonia.",
        "Influenza A pneumonia.",
    ),
}
_CLEAR = ("The lungs are clear.", "Lung fields are clear on this image.", "Normal lung parenchyma on this image.")
_WHERE = {
    "both": (" in both lungs", " bilaterally", ""),
    "right": (" in the right lung", " on the right", ""),
    "left": (" in the left lung", " on the left", ""),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What one image shows, as far as a report may tell it."""

    kind: str
    age: int
    sex: str
    level: float
    sides: dict[str, str]
    """Lesion code to "right", "left" or "both"; only lesions present."""
    tumours: tuple[Tumour, ...]


def write_report(facts: Facts, rng: np.random.Generator) -> str:
    """Word the caption of one image."""
    sentences = _findings(facts.sides, rng) + [_tumour_sentence(tumour, rng) for tumour in facts.tumours]
    if not sentences:
        sentences.append(_pick(_CLEAR, rng))
    sentences += _denials(facts, rng)
    diagnosis = [_pick(_COVID, rng)]
    if facts.kind != "covid":
        diagnosis = [_pick(_OWN_DIAGNOSIS[facts.kind], rng), _pick(_NOT_COVID, rng)]
    ordered = diagnosis + sentences if rng.random() < 0.3 else sentences + diagnosis
    return _opening(facts, rng) + " ".join(ordered)


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _opening(facts: Facts, rng: np.random.Generator) -> str:
    level = next(name for limit, name in _LEVELS if facts.level <= limit)
    person = "woman" if facts.sex == "F" else "man"
    return _pick(_OPENINGS, rng).format(level=level, age=facts.age, person=person)


def _sentence(template: str, what: str, where: str = "") -> str:
    verb = "are" if what.endswith(("s", "septa")) or " and " in what or what.startswith("areas") else "is"
    sentence = template.format(what=what, where=where, verb=verb)
    return sentence[0].upper() + sentence[1:]


def _findings(sides: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Tell each lesion, sometimes two on the same side in one sentence."""
    waiting = [str(lesion) for lesion in rng.permutation(list(sides))]
    sentences = []
    while waiting:
        lesion = waiting.pop(0)
        what = _pick(_NOUNS[lesion], rng)
        where = _pick(_WHERE[sides[lesion]], rng)
        if waiting and sides[waiting[0]] == sides[lesion] and rng.random() < 0.4:
            what += f" and {_pick(_NOUNS[waiting.pop(0)], rng)}"
        elif lesion == "Csld" and "AirBr" not in sides and rng.random() < 0.25:
            where += " without air bronchograms"
        sentences.append(_sentence(_pick(_FOUND, rng), what, where))
    return sentences


def _tumour_sentence(tumour: Tumour, rng: np.random.Generator) -> str:
    side = "right" if tumour.sign < 0 else "left"
    size = round(2 * tumour.radius_mm)
    name = "spiculated mass" if tumour.spiculated else "solid nodule"
    choices = (f"There is a {size} mm {name} in the {side} lung.", f"A {name} of the {side} lung measures {size} mm.")
    return _pick(choices, rng)


def _denials(facts: Facts, rng: np.random.Generator) -> list[str]:
    """Deny about half of the absent lesions, sometimes two in one sentence."""
    absent = [lesion for lesion in _DENIED if lesion not in facts.sides and rng.random() < 0.5]
    named = [_pick(_DENIED[str(lesion)], rng) for lesion in rng.permutation(absent)]
    if len(named) >= 2 and rng.random() < 0.3:
        return [f"Neither {named[0]} nor {named[1]} is seen."] + [
            _sentence(_pick(_NOT_FOUND, rng), name) for name in named[2:]
        ]
    if len(named) >= 2 and rng.random() < 0.5:
        named = [f"{named[0]} or {named[1]}", *named[2:]]
    return [_sentence(_pick(_NOT_FOUND, rng), name) for name in named]
