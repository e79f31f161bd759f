"""Intake: every complete contribution ends accepted or quarantined with a reason, once, however often this runs or dies.

Contributions are examined by several threads, admitted in the order of their keys, and committed in batches.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ladnn.errors import ImageRejectedError
from ladnn.intake.admit import Admission, Splits
from ladnn.intake.catalogue import append_batch
from ladnn.intake.catalogue_index import CatalogueIndex, open_index
from ladnn.intake.examine import Examined, ExaminedFile, Examiner, Opened
from ladnn.intake.inbox import Waiting, advance_cursor, waiting_contributions
from ladnn.intake.record import Outcome, Quarantined
from ladnn.prefetch import map_ahead
from ladnn.progress import Steps, no_steps
from ladnn.store import ObjectStore

N_THREADS = 4
_AHEAD_IMAGES = 128
"""Images that are examined while earlier ones wait to be committed: enough to keep every thread busy."""
_BATCH_IMAGES = 100
"""Images a batch at most, unless one contribution alone has more: what a kill costs, against documents to read."""
_MOST_NAMED = 20


class Desk(NamedTuple):
    """What intake works with."""

    store: ObjectStore
    pseudonym_key: bytes
    cache: Path
    """Folder of the catalogue's index."""
    splits: Splits


class IntakeReport(BaseModel):
    """What one intake run did."""

    model_config = ConfigDict(frozen=True)

    n_contributions: int
    """Contributions that ended in this run."""
    n_accepted: int
    """Images accepted in this run."""
    n_known: int
    """Images that had been accepted before: of contributions that had ended, and the same pixels sent again."""
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
            named.append(f"quarantined in all: {reasons}; see `ladnn quarantine list`")
        counts = (
            f"{self.n_contributions} new contributions: {self.n_accepted} images accepted, "
            f"{len(self.quarantined)} quarantined; {self.n_known} images were known"
        )
        return [counts, *named]


def take_in(desk: Desk, on_step: Steps = no_steps, *, sweep: bool = False, today: date | None = None) -> IntakeReport:
    """Bring every complete contribution of the inbox that has no outcome yet to its outcome.

    Args:
        desk: what intake works with.
        on_step: told how many contributions have ended.
        sweep: look behind the cursor as well, for what took longer than a week to upload.
        today: UTC; by default what the clock says.
    """
    today = today or datetime.now(UTC).date()
    with open_index(desk.store, desk.cache) as index:
        waiting, n_known = _waiting(desk.store, index, sweep=sweep)
        examiner = Examiner(desk.store, desk.pseudonym_key, today)
        outcomes: list[Outcome] = []
        with ThreadPoolExecutor(N_THREADS) as threads:
            try:
                for batch in _batches(_counted(_examined(threads, examiner, waiting), on_step, len(waiting))):
                    outcomes += commit(desk, index, batch)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        advance_cursor(desk.store, today)
    return _report(outcomes, n_known)


def commit(
    desk: Desk, index: CatalogueIndex, batch: Sequence[Examined], waived: frozenset[str] | None = None
) -> list[Outcome]:
    """Admit examined contributions and commit them as one batch.

    Args:
        desk: what intake works with.
        index: of the catalogue.
        batch: examined contributions, in order.
        waived: reasons that a person overruled, for what had ended before; None leaves out what has ended meanwhile.

    Returns:
        The outcomes that were committed.
    """
    while True:
        index.catch_up()
        try:
            with index.transaction():  # from here on no process of this host adds a batch
                new = [e for e in batch if waived is not None or index.ended(e.outcome.contribution) is None]
                return _commit(desk, index, new, waived or frozenset()) if new else []
        except _OvertakenError:
            continue


class _OvertakenError(Exception):
    """Another process has committed a batch meanwhile."""


def _commit(desk: Desk, index: CatalogueIndex, batch: Sequence[Examined], waived: frozenset[str]) -> list[Outcome]:
    admission = Admission(desk.store, index, desk.splits, waived)
    outcomes: list[Outcome] = []
    documents: list[dict[str, Any]] = []
    reports: dict[str, str] = {}
    for examined in batch:
        outcome = admission.admit(examined.outcome)
        documents.append(outcome.model_dump(mode="json"))
        index.add(documents[-1])
        outcomes.append(outcome)
        used = {record.report for record in (*outcome.accepted, *outcome.known)}
        reports |= {digest: text for digest, text in examined.reports.items() if digest in used}
    number = index.n_batches + 1
    if not append_batch(desk.store, number, outcomes, reports):
        raise _OvertakenError
    index.note_batch(number, documents)
    return outcomes


def _waiting(store: ObjectStore, index: CatalogueIndex, *, sweep: bool) -> tuple[list[Waiting], int]:
    """Return what has not ended yet, and how many images are known of what has."""
    waiting, n_known = [], 0
    for item in waiting_contributions(store, sweep=sweep):
        n_images = index.ended(item.contribution)
        if n_images is None:
            waiting.append(item)
        else:
            n_known += n_images
    return waiting, n_known


def _examined(threads: Executor, examiner: Examiner, waiting: Iterable[Waiting]) -> Iterator[Examined]:
    """Examine contributions file by file, some ahead, and yield them in order."""
    ahead: deque[tuple[Opened | Examined, list[Future[ExaminedFile | ImageRejectedError]]]] = deque()
    n_images = 0
    for opened in map_ahead(threads, examiner.open, waiting, N_THREADS):
        files = [] if isinstance(opened, Examined) else _submit_files(threads, examiner, opened)
        ahead.append((opened, files))
        n_images += max(1, len(files))
        while n_images > _AHEAD_IMAGES:
            n_images -= max(1, len(ahead[0][1]))
            yield _concluded(examiner, *ahead.popleft())
    for opened, files in ahead:
        yield _concluded(examiner, opened, files)


def _counted(examined: Iterable[Examined], on_step: Steps, total: int) -> Iterator[Examined]:
    for done, item in enumerate(examined, start=1):
        on_step(done, total)
        yield item


def _submit_files(
    threads: Executor, examiner: Examiner, opened: Opened
) -> list[Future[ExaminedFile | ImageRejectedError]]:
    """Have every file of a contribution examined; a refused entry keeps its place."""
    futures = []
    for image in opened.study.images:
        if isinstance(image, ImageRejectedError):
            refused: Future[ExaminedFile | ImageRejectedError] = Future()
            refused.set_result(image)
            futures.append(refused)
        else:
            futures.append(threads.submit(examiner.examine_file, opened, image))
    return futures


def _concluded(
    examiner: Examiner, opened: Opened | Examined, files: Sequence[Future[ExaminedFile | ImageRejectedError]]
) -> Examined:
    if isinstance(opened, Examined):
        return opened
    return examiner.conclude(opened, {position: file.result() for position, file in enumerate(files, start=1)})


def _batches(examined: Iterable[Examined]) -> Iterator[list[Examined]]:
    batch: list[Examined] = []
    n_images = 0
    for item in examined:
        batch.append(item)
        n_images += max(1, len(item.outcome.accepted) + len(item.outcome.quarantined))
        if n_images >= _BATCH_IMAGES:
            yield batch
            batch, n_images = [], 0
    if batch:
        yield batch


def _report(outcomes: Sequence[Outcome], n_known: int) -> IntakeReport:
    return IntakeReport(
        n_contributions=len(outcomes),
        n_accepted=sum(len(outcome.accepted) for outcome in outcomes),
        n_known=n_known + sum(len(outcome.known) for outcome in outcomes),
        quarantined=tuple(item for outcome in outcomes for item in outcome.quarantined),
    )
