"""Owns retrains that came to a decision, and what a page says, for tests of documents on paper."""

import re
from html.parser import HTMLParser

from challengers import decision_for

from ladnn.governance.change_control import ChangeItem, ChangeSheet
from ladnn.registry.promotion import Proposal, promote
from ladnn.registry.test_set import open_test_set
from ladnn.retrain import keep

SHEET = ChangeSheet(
    champion=None,
    items=(ChangeItem(what="backbone", before=None, now="<b>lite0</b>", allowed="any", inside=True),),
)


def kept(platform, name, document):
    keep(platform.store, platform.retrain_id, name, document.model_dump(mode="json"))


def decided(platform, outcome, hours=1.0):
    """A retrain that opened its test set and was decided so."""
    open_test_set(
        platform.store,
        platform.plan,
        platform.version,
        platform.bundle_id,
        platform.trusted,
        platform.settings.cache,
    )
    decision = decision_for(platform, outcome, hours=hours).model_copy(update={"changes": SHEET})
    kept(platform, "decision", decision)
    return decision


def promoted(platform):
    proposal = Proposal(
        bundle_id=platform.bundle_id,
        model_version="1",
        retrain_id=platform.retrain_id,
        synthetic=True,
        by="gates",
        reason="all gates passed",
    )
    promote(platform.store, proposal, expected=0)


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words, self.tags = [], set()

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name in ("src", "href") for name, _ in attrs), "the page needs the network"


def text_of(page):
    reader = Text()
    reader.feed(page)
    assert not reader.tags & {"script", "link", "img", "iframe"}
    return re.sub(r"\s+", " ", " ".join(reader.words))
