"""A data card counts what is in a version, says what is unknown, and is kept with the version."""

import base64
import json
import re
from datetime import date
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from factories import keep_outcomes, make_record

from ladnn.config import DataConfig
from ladnn.dataset.card.counting import count_intake
from ladnn.dataset.card.facts import DataCard, by_size
from ladnn.dataset.card.keeping import keep_card, keep_page
from ladnn.dataset.freezing import freeze
from ladnn.dataset.version import DatasetVersion
from ladnn.intake.record import Outcome, Quarantined, Record
from ladnn.labels import Label
from ladnn.store import ObjectStore

LESION_SETS = ({}, {"GGO": 1}, {"GGO": 1, "Csld": 1}, {"GGO": 1, "Csld": 1, "CrPa": 0})


def outcome(*records: Record, **values: object) -> Outcome:
    return Outcome.model_validate({"contribution": "c", "accepted": records, "quarantined": ()} | values)


def set_aside(position: int | None, reason: str, frame: int | None = None, contribution: str = "c") -> Quarantined:
    return Quarantined(contribution=contribution, position=position, frame=frame, reason=reason, detail="why")


def records() -> list[Record]:
    """Sixteen patients: eight negatives from two sources, eight positives with 0, 1, 2 and 2 lesions, twice."""
    negatives = [
        make_record(f"n{n}", labels={"covid": 0}, source="medpix" if n < 6 else "<b>crawled</b>", sex="F")
        for n in range(8)
    ]
    positives = [
        make_record(f"p{n}", labels={"covid": 1} | LESION_SETS[n % 4], age_y=40 + n, original_format="JPEG")
        for n in range(8)
    ]
    return negatives + positives


@pytest.fixture
def version(file_store: ObjectStore) -> DatasetVersion:
    said = Label(value=None, source="report", by="keywords/2", span=(1, 4), uncertain=True)
    unsure = make_record("unsure", labels={"Csld": 1}, group_basis="study", studied_on=date(2020, 2, 2))
    unsure = unsure.model_copy(update={"labels": unsure.labels | {"GGO": said}})
    keep_outcomes(file_store, [outcome(*records(), unsure), outcome(quarantined=(set_aside(1, "no_report"),))])
    return freeze(file_store, DataConfig())


@pytest.fixture
def card(file_store: ObjectStore, version: DatasetVersion) -> DataCard:
    return keep_card(file_store, version)


def test_images_and_patients_are_counted_by_split_and_diagnosis(card: DataCard) -> None:
    of_all = card.counts["all"]
    assert {kind: (count.n_images, count.n_patients) for kind, count in of_all.items()} == {
        "positive": (8, 8),
        "negative": (8, 8),
        "unknown": (1, 1),
    }
    for kind, count in of_all.items():
        parts = [card.counts[split][kind] for split in ("train", "validation", "test")]
        assert sum(part.n_images for part in parts) == count.n_images
    assert card.patients["all"] == sum(n for part, n in card.patients.items() if part != "all") == 17
    assert card.group_basis == {"patient": 16, "study": 1}


def test_lesions_are_counted_by_image_and_in_pairs(card: DataCard) -> None:
    assert card.lesions_per_positive["all"] == (2, 2, 4, 0, 0, 0)
    assert card.concordance["GGO"] == {"GGO": 6, "Csld": 4, "CrPa": 0, "AirBr": 0, "InSepThi": 0}
    assert card.concordance["Csld"]["GGO"] == 4
    assert card.negatives_by_source == {"medpix": 6, "<b>crawled</b>": 2}


def test_labels_are_counted_with_their_provenance(card: DataCard) -> None:
    lesion = card.labels["GGO"]
    assert (lesion.n_present, lesion.n_absent, lesion.n_unknown, lesion.n_uncertain) == (6, 0, 11, 1)
    assert lesion.by_source == {"annotation": 6}
    assert card.labels["CrPa"].n_absent == 2
    assert card.read_by == {"tests": 16 + 6 + 4 + 2 + 1, "keywords/2": 1}


def test_what_is_missing_is_said_in_numbers_and_in_sentences(card: DataCard) -> None:
    assert card.missing["known age"] == 9
    assert card.missing["known patient"] == 1
    assert card.missing["acquisition attributes"] == 17
    assert "9 of 17 images (52.9 %) have no known age." in card.unknown
    assert "8 of 8 negative images have no known lesion label: unknown, not absent." in card.unknown
    assert "2 of 8 positive images have no known lesion label: unknown, not absent." in card.unknown
    assert (card.age_y.low, card.age_y.high) == (40, 47)
    assert (card.studied.first, card.contributed.last) == (date(2020, 2, 2), date(2020, 3, 1))


def test_what_goes_with_one_diagnosis_alone_is_named(card: DataCard) -> None:
    assert card.one_sided == (
        "All 6 images of source medpix are negative.",
        "All 8 images of file format JPEG are positive.",
    )


def test_quarantine_is_counted_as_it_stands(card: DataCard) -> None:
    assert (card.intake.n_contributions, card.intake.n_accepted, card.intake.n_quarantined) == (1, 17, 1)
    assert card.intake.quarantine_rate == pytest.approx(1 / 18)


def test_a_release_replaces_what_it_released() -> None:
    first = outcome(quarantined=(set_aside(1, "not_ct"), set_aside(2, "not_ct"), set_aside(3, "corrupt")))
    accepted = outcome(make_record("a", 0))
    again = outcome(quarantined=(set_aside(2, "no_label"),))
    whole = outcome(contribution="other", quarantined=(set_aside(None, "no_consent", contribution="other"),))
    counted = count_intake([first, whole, accepted, again])
    assert (counted.n_quarantined, counted.n_whole, counted.n_accepted) == (2, 1, 1)
    assert counted.by_reason == {"corrupt": 1, "no_label": 1, "no_consent": 1}
    released = outcome(make_record("b"), contribution="other")
    assert count_intake([first, whole, accepted, again, released]).n_whole == 0


def test_frames_of_one_file_are_settled_each_for_itself() -> None:
    first = outcome(quarantined=(set_aside(1, "blank", frame=1), set_aside(1, "blank", frame=2)))
    released = outcome(make_record("a", 0, frame=2, n_frames=2))
    assert count_intake([first, released]).n_quarantined == 1
    whole_file = outcome(quarantined=(set_aside(1, "too_large"),))
    assert count_intake([whole_file, released]).n_quarantined == 0


def test_nothing_taken_in_has_no_rate() -> None:
    assert count_intake([]).quarantine_rate is None


def test_a_card_is_written_once_and_later_contributions_do_not_change_it(
    file_store: ObjectStore, version: DatasetVersion, card: DataCard
) -> None:
    keep_outcomes(file_store, [outcome(quarantined=(set_aside(9, "corrupt"),))])
    assert keep_card(file_store, version) == card
    stored = json.loads(file_store.get(f"datasets/{version.id}/card.json"))
    assert DataCard.model_validate(stored) == card
    page = keep_page(file_store, version)
    assert page == keep_page(file_store, version) == file_store.get(f"datasets/{version.id}/card.html")


def test_a_card_made_later_tells_of_the_time_of_the_freeze(file_store: ObjectStore, version: DatasetVersion) -> None:
    keep_outcomes(file_store, [outcome(quarantined=(set_aside(9, "corrupt"),))])
    assert keep_card(file_store, version).intake.n_quarantined == 1


class Page(HTMLParser):
    """Collects text, addresses and whether every element was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def test_the_page_is_well_formed_escaped_and_needs_no_network(file_store: ObjectStore, version: DatasetVersion) -> None:
    html = keep_page(file_store, version).decode()
    page = Page(html)
    assert page.open == []
    assert "<b>crawled</b>" not in html
    assert "<b>crawled</b>" in page.text
    assert version.id in page.text
    assert len(page.addresses) == 3
    for address in page.addresses:
        kind, _, data = address.partition(",")
        assert kind == "data:image/svg+xml;base64"
        ElementTree.fromstring(base64.b64decode(data))
    assert not re.search(r"(src|href)=\"?https?:|@import|url\(", html)


def test_counts_are_shown_the_largest_first_whatever_order_json_keeps() -> None:
    assert by_size({"a": 1, "b": 3, "c": 3}) == [("b", 3), ("c", 3), ("a", 1)]
    assert by_size({"a": {"x": 1, "y": 1}, "b": {"x": 3}})[0][0] == "b"
