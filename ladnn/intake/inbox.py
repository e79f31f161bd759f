"""The inbox: how contributions are written to it, and which ones wait in it.

What ladnn writes lies in `inbox/t<day>-<site>-<digest>/`. Folders of past weeks are passed over by a cursor, so that
looking costs the same however much was contributed before; a folder of any other name is looked at every time.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from ladnn.errors import ContributionError
from ladnn.intake.contribution import STUDY_FILE, Study
from ladnn.store import ObjectStore, read_json, write_json

INBOX = "inbox/"
_FIRST_TIMED = f"{INBOX}t20"
_RECEIVED = "received/"
_CURSOR = "intake/cursor.json"
_OPEN_DAYS = 7
"""So long a contribution may take from its first image to its `study.json` and still be found by the next intake."""
_STUDY_KEY = re.compile(r"inbox/(?:(.*)/)?study\.json", re.DOTALL)
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Waiting(NamedTuple):
    """A contribution whose `study.json` has arrived."""

    contribution: str
    """Its id, which is the folder's name where that can be an id."""
    usable: bool
    """False for a folder whose name cannot be an id, such as one inside another; the id is made of its digest."""


def contribute(store: ObjectStore, study: Study, files: Mapping[str, bytes], today: date) -> tuple[str, bool]:
    """Write one contribution to the inbox; the same study with the same images is one contribution for ever.

    Args:
        store: holds the inbox.
        study: names the images.
        files: their bytes by name.
        today: UTC; leads the contribution id.

    Returns:
        The contribution id and whether it is new.

    Raises:
        ContributionError: `files` does not hold exactly the study's images.
    """
    if set(files) != {image.file for image in study.images}:
        raise ContributionError("the files of a contribution must be exactly the images that its study names")
    document = study.model_dump_json(indent=1, exclude_none=True).encode()
    name = f"{study.site}-{hashlib.sha256(document).hexdigest()[:16]}"
    receipt = f"{_RECEIVED}{name}.json"
    if store.exists(receipt):
        known = read_json(store, receipt)["contribution"]
        if store.exists(f"{INBOX}{known}/{STUDY_FILE}"):
            return known, False
    contribution = f"t{today:%Y%m%d}-{name}"
    write_json(store, receipt, {"contribution": contribution})
    for file, data in files.items():
        store.put(f"{INBOX}{contribution}/{file}", data)
    return contribution, store.put_if_absent(f"{INBOX}{contribution}/{STUDY_FILE}", document)


def waiting_contributions(store: ObjectStore, *, sweep: bool) -> Iterator[Waiting]:
    """Yield the complete contributions, in the order of their keys; those behind the cursor only in a sweep."""
    keys = store.list(INBOX) if sweep else _keys_from_cursor(store)
    for key in keys:
        match = _STUDY_KEY.fullmatch(key)
        if match:
            folder = match.group(1) or ""
            usable = bool(_FOLDER.fullmatch(folder))
            yield Waiting(folder if usable else f"folder-{_digest(folder)}", usable)


def advance_cursor(store: ObjectStore, today: date) -> None:
    """Note that every contribution of past weeks has ended; to be called when that is so."""
    day = f"{today - timedelta(days=_OPEN_DAYS):%Y%m%d}"
    if day > _cursor(store):
        write_json(store, _CURSOR, {"day": day})


def _keys_from_cursor(store: ObjectStore) -> Iterator[str]:
    yield from store.list(INBOX, skip=(_FIRST_TIMED, f"{INBOX}t{_cursor(store)}"))


def _cursor(store: ObjectStore) -> str:
    return str(read_json(store, _CURSOR)["day"]) if store.exists(_CURSOR) else "20"


def _digest(folder: str) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
