"""Intake's desk in an installation: intake looks up the split, which comes after it, through what is handed to it here."""

from ladnn.dataset.split import load_assignments
from ladnn.intake.process import Desk
from ladnn.platform import Platform


def open_desk(platform: Platform) -> Desk:
    """Return what intake works with."""
    settings = platform.settings
    return Desk(platform.store, settings.pseudonym_key(), settings.cache, lambda: load_assignments(platform.store))
