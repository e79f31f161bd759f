"""Keeps a dataset version's card with the version: `card.json` and `card.html`, each written once."""

from ladnn.dataset.card.counting import data_card
from ladnn.dataset.card.facts import DataCard
from ladnn.dataset.duplicates import outcomes_of
from ladnn.dataset.version import DatasetVersion, document_key, load_manifest
from ladnn.store import ObjectStore, read_json, write_json_if_absent


def keep_card(store: ObjectStore, version: DatasetVersion) -> DataCard:
    """Return a version's card, after making and keeping it where it is missing."""
    key = document_key(version.id, "card.json")
    if not store.exists(key):
        card = data_card(version, load_manifest(store, version.id), list(outcomes_of(store, version)))
        write_json_if_absent(store, key, card.model_dump(mode="json"))
    return DataCard.model_validate(read_json(store, key))


def keep_page(store: ObjectStore, version: DatasetVersion) -> bytes:
    """Return a version's card as an HTML page (UTF-8), after making and keeping it where it is missing."""
    from ladnn.dataset.card.page import card_page

    key = document_key(version.id, "card.html")
    if not store.exists(key):
        store.put_if_absent(key, card_page(keep_card(store, version)).encode())
    return store.get(key)
