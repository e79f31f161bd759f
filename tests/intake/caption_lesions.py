"""What a caption says of lesions, as the tests compare it."""

from ladnn.intake.reports.extract import read_report
from ladnn.labels import LESIONS


def caption_lesions(caption: str, panel: str | None) -> dict[str, int | None]:
    """Return the lesions that a caption names for one of its panels; None for one that stays unknown."""
    return {code: label.value for code, label in read_report(caption, panel).items() if code in LESIONS}
