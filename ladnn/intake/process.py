"""Intake: every complete contribution ends accepted or quarantined with a reason, once, however often this runs or dies.

The outcome document, created only if absent, is the commit; whatever was written before it is content-addressed and
is found again by the next run.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from ladnn.errors import (
    ContributionError,
    DigestMismatchError,
    ImageRejectedError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
)
from ladnn.intake.contribution import INBOX, STUDY_FILE, ContributedImage, Study, complete_contributions, parse_study
from ladnn.intake.decode import decode, encode_canonical
from ladnn.intake.pseudonym import pseudonym
from ladnn.intake.record import OUTCOMES, Outcome, Quarantined, Record, image_key
from ladnn.intake.report_labels import labels_from_report
from ladnn.labels import Label
from ladnn.progress import Steps, no_steps
from ladnn.store import ObjectStore, read_json, write_json_if_absent

_THREADS = 4
_MOST_NAMED = 20


class IntakeReport(BaseModel):
    """What one intake run did."""

    model_config = ConfigDict(frozen=True)

    n_contributions: int
    """Contributions that ended in this run."""
    n_known: int
    """Contributions that had ended before, or that another process ended meanwhile."""
    n_accepted: int
    """Images accepted in this run."""
    quarantined: tuple[Quarantined, ...]

    @property
    def quarantined_by_reason(self) -> dict[str, int]:
        """Number of images, or whole contributions, set aside per reason code."""
        return dict(sorted(Counter(item.reason for item in self.quarantined).items()))

    @property
    def lines(self) -> list[str]:
        """What a person is told: the counts, then what was set aside, each by name up to a limit, then by reason."""
        named = [f"quarantined: {item}" for item in self.quarantined[:_MOST_NAMED]]
        if len(self.quarantined) > _MOST_NAMED:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.quarantined_by_reason.items())
            named.append(f"quarantined in all: {reasons}; each with its reason under {OUTCOMES} in the store")
        counts = (
            f"{self.n_contributions} new contributions, {self.n_known} known; "
            f"{self.n_accepted} images accepted, {len(self.quarantined)} quarantined"
        )
        return [counts, *named]


def take_in(store: ObjectStore, pseudonym_key: bytes, on_step: Steps = no_steps) -> IntakeReport:
    """Bring every complete contribution of the inbox that has no outcome yet to its outcome."""
    ended = {key.removeprefix(OUTCOMES).removesuffix(".json") for key in store.list(OUTCOMES)}
    waiting = [item for item in complete_contributions(store) if item[0] not in ended]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            examinations = threads.map(lambda item: _examine(store, pseudonym_key, *item), waiting)
            # Ended in order, so that the same inbox always ends the same way.
            for done, examined in enumerate(examinations, start=1):
                outcome = _claimed(store, examined)
                if _end(store, outcome):
                    outcomes.append(outcome)
                on_step(done, len(waiting))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return IntakeReport(
        n_contributions=len(outcomes),
        n_known=len(ended) + len(waiting) - len(outcomes),
        n_accepted=sum(len(outcome.accepted) for outcome in outcomes),
        quarantined=tuple(item for outcome in outcomes for item in outcome.quarantined),
    )


def read_outcomes(store: ObjectStore) -> Iterator[Outcome]:
    """Yield every outcome, in the order of contribution ids."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for document in threads.map(lambda key: read_json(store, key), store.list(OUTCOMES)):
            yield Outcome.model_validate(document)


def _claimed(store: ObjectStore, examined: Outcome) -> Outcome:
    """Claim the images of a contribution; identical pixels are accepted once."""
    accepted, quarantined = [], list(examined.quarantined)
    for record in examined.accepted:
        if _claim(store, record):
            accepted.append(record)
        else:
            detail = "the same pixels were accepted before, from another place; nothing is lost, nothing to do"
            quarantined.append(_set_aside(record.contribution, record.position, "duplicate", detail))
    return Outcome(contribution=examined.contribution, accepted=tuple(accepted), quarantined=tuple(quarantined))


def _end(store: ObjectStore, outcome: Outcome) -> bool:
    """Commit the outcome; False where another process has committed one."""
    return write_json_if_absent(store, f"{OUTCOMES}{outcome.contribution}.json", outcome.model_dump(mode="json"))


def _claim(store: ObjectStore, record: Record) -> bool:
    key = f"claims/{record.image[:2]}/{record.image}.json"
    claim = {"contribution": record.contribution, "position": record.position}
    return write_json_if_absent(store, key, claim) or read_json(store, key) == claim


def _set_aside(contribution: str, position: int | None, reason: str, detail: str) -> Quarantined:
    return Quarantined(contribution=contribution, position=position, reason=reason, detail=detail)


def _refused(contribution: str, reason: str, detail: str) -> Outcome:
    """Set a contribution aside as a whole."""
    refusal = _set_aside(contribution, None, reason, detail)
    return Outcome(contribution=contribution, accepted=(), quarantined=(refusal,))


def _examine(store: ObjectStore, pseudonym_key: bytes, contribution: str, usable_name: bool) -> Outcome:
    if not usable_name:
        detail = "the name of its folder in the inbox is no contribution id; send it again under another name"
        return _refused(contribution, "bad_folder_name", detail)
    try:
        study = parse_study(store.get(f"{INBOX}{contribution}/{STUDY_FILE}"))
    except ContributionError as error:
        return _refused(contribution, "bad_study_json", str(error))
    except DigestMismatchError:
        return _refused(contribution, "wrong_digest", "its study.json is damaged in the store; send it again")
    accepted, quarantined = [], []
    for position in range(1, len(study.images) + 1):
        try:
            accepted.append(_accept(store, pseudonym_key, contribution, study, position))
        except ImageRejectedError as error:
            quarantined.append(_set_aside(contribution, position, error.reason, str(error)))
    return Outcome(contribution=contribution, accepted=tuple(accepted), quarantined=tuple(quarantined))


def _accept(store: ObjectStore, pseudonym_key: bytes, contribution: str, study: Study, position: int) -> Record:
    image = study.images[position - 1]
    data = _contributed_bytes(store, contribution, image)
    canonical = decode(data)
    report = next((text for text in (image.report, study.report) if text and text.strip()), "")
    labels = _labels(study, image, report)
    store.put_if_absent(image_key(canonical.digest), encode_canonical(canonical.pixels))
    height, width = canonical.pixels.shape
    known = study.patient_id is not None
    return Record(
        image=canonical.digest,
        group=pseudonym(pseudonym_key, "patient" if known else "study", study.site, study.patient_id or study.study_id),
        group_basis="patient" if known else "study",
        contribution=contribution,
        position=position,
        site=study.site,
        source=study.source,
        synthetic=study.synthetic,
        contributed_on=study.contributed_on,
        age_y=study.age_y,
        sex=study.sex,
        width_px=width,
        height_px=height,
        original_format=canonical.original_format,
        original_mode=canonical.original_mode,
        n_bytes=len(data),
        report_key=_keep_report(store, report),
        requested_split=study.split,
        labels=labels,
    )


def _contributed_bytes(store: ObjectStore, contribution: str, image: ContributedImage) -> bytes:
    try:
        data = store.get(f"{INBOX}{contribution}/{image.file}")
        if hashlib.sha256(data).hexdigest() == image.sha256:
            return data
    except ObjectNotFoundError:
        detail = "study.json names it, but the inbox has no such file; send it again"
        raise ImageRejectedError("missing_file", detail) from None
    except DigestMismatchError:
        detail = "its bytes were damaged in the store; restore them and send it again"
        raise ImageRejectedError("wrong_digest", detail) from None
    except (StoreAccessError, StoreFullError):
        raise
    except StoreError:
        detail = "the inbox has something other than a plain file under its name; send it again"
        raise ImageRejectedError("unreadable", detail) from None
    raise ImageRejectedError("wrong_digest", "its bytes are not those that study.json states; send it again")


def _labels(study: Study, image: ContributedImage, report: str) -> dict[str, Label]:
    """Annotations win over the report."""
    labels = labels_from_report(report)
    for code, value in image.labels.items():
        labels[code] = Label(value=value, source="annotation", by=study.annotated_by)
    if not labels:
        reason, missing = "no_report", "it has neither report nor annotation"
        if report:
            reason, missing = "no_label", "its report names neither the diagnosis nor a lesion"
        raise ImageRejectedError(reason, f"{missing}; contribute it again with a report or with labels")
    return labels


def _keep_report(store: ObjectStore, report: str) -> str | None:
    if not report:
        return None
    data = report.encode()
    digest = hashlib.sha256(data).hexdigest()
    key = f"reports/{digest[:2]}/{digest}.txt"
    store.put_if_absent(key, data)
    return key
