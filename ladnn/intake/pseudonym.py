"""Keyed pseudonyms: the same patient of the same site always gets the same name, which only the key can link back."""

import hashlib
import hmac
from typing import Literal

from ladnn.intake.contribution import StudyData


def pseudonym(key: bytes, kind: Literal["patient", "study"], site: str, identifier: str) -> str:
    """Return HMAC-SHA-256 (RFC 2104) of a site's identifier, shortened to 80 bits.

    Args:
        key: the installation's secret.
        kind: its first letter leads the pseudonym.
        site: scope of the identifier.
        identifier: what must not leave intake.
    """
    message = "\x1f".join((kind, site, identifier)).encode()
    return f"{kind[0]}-{hmac.new(key, message, hashlib.sha256).hexdigest()[:20]}"


def patient_pseudonym(key: bytes, study: StudyData) -> str | None:
    """Return the pseudonym of a study's patient; None where the patient is unknown."""
    if study.patient_id is None or study.identifiers == "pseudonyms":
        return study.patient_id
    return pseudonym(key, "patient", study.site, study.patient_id)


def study_pseudonym(key: bytes, study: StudyData) -> str:
    """Return the pseudonym of a study."""
    return study.study_id if study.identifiers == "pseudonyms" else pseudonym(key, "study", study.site, study.study_id)
