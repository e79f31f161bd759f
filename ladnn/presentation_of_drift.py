"""How a check for drift looks on a terminal."""

from ladnn.governance.drift.acceptance import acceptances_of, sites_to_ask
from ladnn.governance.drift.comparison import Comparison
from ladnn.governance.drift.verdict import DriftRecord, PropertyFacts
from ladnn.presentation import open_console, table
from ladnn.store import ObjectStore

_MOST_SHOWN = 12
_MOST_NAMED = 4


def print_drift(record: DriftRecord, store: ObjectStore) -> None:
    """Print the verdict, what was compared, the properties that moved most, and what a person accepted or still has to."""
    console = open_console()
    if record.comparisons:
        columns = ("stream", "scope", "looked at", "patients before", "now", "p", "moved")
        console.print(table(columns, map(_row, record.comparisons)))
    if record.properties:
        shown = sorted(record.properties, key=lambda item: -item.distance)[:_MOST_SHOWN]
        of_property = ("stream", "property", "distance", "PSI", "PSI by chance up to")
        title = f"farthest of {len(record.properties)} properties, all sites together"
        console.print(table(of_property, map(_property, shown), title))
    for item in record.streams:
        left_out = f", {item.n_not_sampled} more not drawn" if item.n_not_sampled else ""
        unit = {"service": "requests", "intake": "contributions"}.get(item.stream, "patients")
        console.print(f"{item.stream}: {item.n_images} images of {item.n_patients} {unit}{left_out}")
    console.print(
        f"reference: {record.n_reference_images} images of {record.n_reference_patients} patients of "
        f"{record.dataset_version}, model version {record.model_version}; check {record.id}"
    )
    console.print(f"verdict: {record.verdict.action}: {record.verdict.reason}", markup=False)
    for given in acceptances_of(store, record):
        told = f"{', '.join(given.moved)} accepted by {given.by} on {given.accepted_at:%Y-%m-%d}: {given.reason}"
        console.print(told, markup=False)
    if to_ask := sites_to_ask(store, record):
        console.print(
            f"next: ask {', '.join(to_ask)}, then ladnn drift accept {record.id} --by NAME --reason WHY   "
            "# until then the monitor sets nothing off",
            markup=False,
        )


def _row(item: Comparison) -> tuple[str, ...]:
    if item.p_value is None:
        moved = "not enough cases"
    else:
        named = ", ".join(f"{m.name} {m.distance:.2f}" for m in item.moved[:_MOST_NAMED])
        more = f" and {len(item.moved) - _MOST_NAMED} more" if len(item.moved) > _MOST_NAMED else ""
        moved = f"{named}{more}" or "nothing"
    p_value = "" if item.p_value is None else f"{item.p_value:.4f}"
    counts = (str(item.n_reference_patients), str(item.n_current_patients))
    return (item.stream, item.scope, item.basis, *counts, p_value, moved)


def _property(item: PropertyFacts) -> tuple[str, ...]:
    psi = ("n/a", "n/a") if item.psi is None else (f"{item.psi:.2f}", f"{item.psi_noise:.2f}")
    return (item.stream, item.name, f"{item.distance:.2f}", *psi)
