"""Owns what other processes do in the tests of the split; light to import, since every such process does."""

from ladnn.dataset.split import Group, Split, place_groups
from ladnn.store import open_store

GROUPS = [Group(f"p{number}", "negative" if number % 2 else f"positive-{number % 6}") for number in range(48)]


def place_overlapping(url: str, turn: int) -> dict[str, Split]:
    """Place a part of the groups that the neighbouring turns place too."""
    return place_groups(open_store(url), {group.name: group for group in GROUPS[turn * 5 : turn * 5 + 13]}).splits
