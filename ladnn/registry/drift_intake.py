"""What intake quarantined of what each site sent, before the champion's data were frozen and since."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Sides
from ladnn.governance.drift.sample import QUARANTINED, Sample
from ladnn.intake.record import Outcome
from ladnn.registry.drift_samples import drawn_evenly

_CONTRIBUTION = re.compile(r"t\d{8}-(.+)-[0-9a-f]{16}")
"""How `ladnn.intake.inbox.contribute` names a contribution, with its site."""


@dataclass
class _Sent:
    """One contribution.

    Attributes:
        is_new: whether intake first looked at it after the champion's data were frozen.
        site: that sent it; None where only its study could tell, which was not accepted.
        synthetic: None where nothing of it was accepted.
        quarantined: by position and frame whether the image stands in quarantine, as it was last looked at; a position of 0 is
            the whole contribution.
    """

    is_new: bool
    site: str | None
    synthetic: bool | None = None
    quarantined: dict[tuple[int, int], bool] = field(default_factory=dict)


def quarantine_sides(
    outcomes: Sequence[Outcome], n_before: int, config: DriftConfig, seed: int, *, synthetic: bool
) -> Sides:
    """Return for each image that was sent whether it was quarantined; a contribution counts once, as a patient does.

    Args:
        outcomes: all of intake, oldest first.
        n_before: how many of them there were when the champion's data were frozen.
        config: limits; a site with fewer contributions before than it asks of a site is held against all.
        seed: of the choice, where there are too many images.
        synthetic: whether phantoms count, or patients.
    """
    sent = _sent(outcomes, n_before)
    ours = {item.site for item in sent.values() if item.synthetic is synthetic}
    others = {item.site for item in sent.values() if item.synthetic is (not synthetic)} - ours
    counted = {
        name: item
        for name, item in sent.items()
        if item.site and (item.synthetic is synthetic or (item.synthetic is None and item.site not in others))
    }
    before = _sample({name: item for name, item in counted.items() if not item.is_new}, config.max_images, seed)
    now = _sample({name: item for name, item in counted.items() if item.is_new}, config.max_images, seed)
    sites, n_contributions = np.unique([item.site for item in counted.values() if not item.is_new], return_counts=True)
    return Sides(before, now, frozenset(map(str, sites[n_contributions >= config.min_site_patients])))


def _sent(outcomes: Sequence[Outcome], n_before: int) -> dict[str, _Sent]:
    sent: dict[str, _Sent] = {}
    for place, outcome in enumerate(outcomes):
        named = _CONTRIBUTION.fullmatch(outcome.contribution)
        new = _Sent(place >= n_before, named.group(1) if named else None)
        item = sent.setdefault(outcome.contribution, new)
        for record in (*outcome.accepted, *outcome.known):
            item.site, item.synthetic = record.site, record.synthetic
            item.quarantined[record.position, record.frame] = False
        for finding in outcome.quarantined:
            item.quarantined[finding.position or 0, finding.frame or 1] = True
        if len(item.quarantined) > 1:  # a contribution that was released as a whole has images since
            item.quarantined.pop((0, 1), None)
    return sent


def _sample(sent: dict[str, _Sent], max_images: int, seed: int) -> Sample:
    rows = [(name, item.site, float(value)) for name, item in sent.items() for value in item.quarantined.values()]
    kept = [rows[place] for place in drawn_evenly([name for name, _, _ in rows], max_images, seed)]
    names, sites, values = zip(*kept, strict=True) if kept else ((), (), ())
    table = pd.DataFrame({QUARANTINED: np.asarray(values, np.float64)})
    return Sample(table, np.asarray(names, np.str_), np.asarray(sites, np.str_))
