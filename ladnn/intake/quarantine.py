"""Quarantine: what intake set aside, why, and the two ways out: released by a person, or rejected for good."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ladnn.accountability import check_accountable
from ladnn.errors import ImageRejectedError, QuarantineError
from ladnn.intake.catalogue_index import open_index
from ladnn.intake.contribution import ContributedImage
from ladnn.intake.decode import CanonicalImage, decode_frames, encode_canonical
from ladnn.intake.examine import WAIVABLE, Examined, ExaminedFile, Examiner, Opened
from ladnn.intake.inbox import Waiting
from ladnn.intake.process import Desk, commit
from ladnn.intake.record import Outcome, Quarantined, Record
from ladnn.store.log import append_entry, read_entries

_DECISIONS = "quarantine/"
_NO_WAY_BACK = "bad_folder_name"


class QuarantineDecision(BaseModel):
    """What a person decided about an item."""

    model_config = ConfigDict(frozen=True)

    item: str
    action: Literal["release", "reject"]
    waived: str | None = None
    """Reason code that a release overrules."""
    by: str
    reason: str
    at: datetime


class Case(BaseModel):
    """An item in quarantine, with what was decided about it."""

    model_config = ConfigDict(frozen=True)

    item: str
    state: Literal["open", "rejected"]
    finding: Quarantined
    overrulable: bool
    """Whether a release overrules the finding; otherwise it only looks again, after the contributor has mended it."""
    decisions: tuple[QuarantineDecision, ...]


def cases(desk: Desk) -> list[Case]:
    """Return everything that stands in quarantine, oldest first."""
    decisions: dict[str, list[QuarantineDecision]] = {}
    for decision in _decisions(desk):
        decisions.setdefault(decision.item, []).append(decision)
    with open_index(desk.store, desk.cache) as index:
        return [_case(finding, decisions.get(finding.item, [])) for finding in index.quarantine()]


def find_case(desk: Desk, item: str) -> Case:
    """Return one item of quarantine.

    Raises:
        QuarantineError: there is no such item.
    """
    for case in cases(desk):
        if case.item == item:
            return case
    raise QuarantineError(f"{item!r} is not in quarantine; see `ladnn quarantine list`")


def picture(desk: Desk, item: str) -> bytes:
    """Return a quarantined image as an 8-bit grey PNG, as far as it can be read.

    Raises:
        QuarantineError: it is no single image, or shows no picture.
    """
    finding = find_case(desk, item).finding
    examiner = _examiner(desk, None, WAIVABLE)
    opened = examiner.open(Waiting(finding.contribution, True))
    if finding.position is None or isinstance(opened, Examined):
        raise QuarantineError(f"{item} is no single image; look into its folder in the inbox")
    frame = _frame(examiner, opened, finding.position, finding.frame or 1)
    if isinstance(frame, ImageRejectedError):
        raise QuarantineError(f"{item} shows no picture: {frame}")
    return encode_canonical(frame.pixels)


def _frame(examiner: Examiner, opened: Opened, position: int, number: int) -> CanonicalImage | ImageRejectedError:
    image = _named_image(opened, position)
    if isinstance(image, ImageRejectedError):
        return image
    try:
        frames = list(decode_frames(examiner.read_file(opened.contribution, image)))
    except ImageRejectedError as error:
        return error
    return frames[min(number, len(frames)) - 1]


def reject(desk: Desk, item: str, *, by: str, reason: str) -> Case:
    """Decide that an item stays out for good; its bytes stay in the inbox, and a later release is possible.

    Raises:
        QuarantineError: there is no such item.
    """
    find_case(desk, item)
    _decide(desk, item, "reject", None, by, reason)
    return find_case(desk, item)


def release(desk: Desk, item: str, *, by: str, reason: str, today: date | None = None) -> Outcome:
    """Look at an item again, overruling its finding where a person may.

    Returns:
        What came of it: accepted, known, or quarantined again for what a person may not overrule.

    Raises:
        QuarantineError: there is no such item, or it has no way back.
    """
    finding = find_case(desk, item).finding
    if finding.reason == _NO_WAY_BACK:
        raise QuarantineError(f"{item} cannot be released: {finding.detail}")
    _decide(desk, item, "release", finding.reason if finding.reason in WAIVABLE else None, by, reason)
    waived = _waived(desk, finding.contribution)
    examined = _examine_again(_examiner(desk, today, waived), finding)
    with open_index(desk.store, desk.cache) as index:
        (outcome,) = commit(desk, index, [examined], waived)
    return outcome


def _decisions(desk: Desk) -> Iterator[QuarantineDecision]:
    return (QuarantineDecision.model_validate(entry) for entry in read_entries(desk.store, _DECISIONS))


def _waived(desk: Desk, contribution: str) -> frozenset[str]:
    """Return every reason that was overruled for a contribution: what was once decided is not asked again."""
    ours = (d for d in _decisions(desk) if d.item.partition(":")[0] == contribution)
    return frozenset(decision.waived for decision in ours if decision.waived is not None)


def _decide(
    desk: Desk, item: str, action: Literal["release", "reject"], waived: str | None, by: str, reason: str
) -> None:
    check_accountable(by, reason, "a release or rejection", QuarantineError)
    now = datetime.now(UTC)
    decision = QuarantineDecision(item=item, action=action, waived=waived, by=by, reason=reason, at=now)
    append_entry(desk.store, _DECISIONS, lambda _: decision.model_dump(mode="json"))


def _case(finding: Quarantined, decisions: list[QuarantineDecision]) -> Case:
    rejected = bool(decisions) and decisions[-1].action == "reject"
    return Case(
        item=finding.item,
        state="rejected" if rejected else "open",
        finding=finding,
        overrulable=finding.reason in WAIVABLE,
        decisions=tuple(decisions),
    )


def _examiner(desk: Desk, today: date | None, waived: frozenset[str]) -> Examiner:
    return Examiner(desk.store, desk.pseudonym_key, today or datetime.now(UTC).date(), waived)


def _examine_again(examiner: Examiner, finding: Quarantined) -> Examined:
    opened = examiner.open(Waiting(finding.contribution, True))
    if isinstance(opened, Examined):
        if finding.position is None:
            return opened
        (whole,) = opened.outcome.quarantined
        raise QuarantineError(f"{finding.item} cannot be looked at, as its study is unusable by now: {whole.detail}")
    everything = range(1, len(opened.study.images) + 1)
    positions = everything if finding.position is None else [finding.position]
    files = {position: _examine_file(examiner, opened, position) for position in positions}
    examined = examiner.conclude(opened, files)
    if finding.frame is None:
        return examined
    return Examined(_only_frame(examined.outcome, finding.frame), examined.reports)


def _examine_file(examiner: Examiner, opened: Opened, position: int) -> ExaminedFile | ImageRejectedError:
    image = _named_image(opened, position)
    return image if isinstance(image, ImageRejectedError) else examiner.examine_file(opened, image)


def _named_image(opened: Opened, position: int) -> ContributedImage | ImageRejectedError:
    images = opened.study.images
    if position > len(images):
        raise QuarantineError(
            f"study.json of {opened.contribution} names no image {position} any more; reject the item"
        )
    return images[position - 1]


def _only_frame(outcome: Outcome, frame: int) -> Outcome:
    """Leave out the siblings, which have ended before."""

    def wanted(item: Record | Quarantined) -> bool:
        return item.frame in {frame, None}

    return outcome.model_copy(
        update={
            "accepted": tuple(filter(wanted, outcome.accepted)),
            "quarantined": tuple(filter(wanted, outcome.quarantined)),
        }
    )
