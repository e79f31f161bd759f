"""How promotions, retrains and a reconcile look on a terminal."""

from typing import TYPE_CHECKING, Any

import typer

from ladnn.presentation import open_console, table

if TYPE_CHECKING:
    from ladnn.registry.reconcile import Reconciled


def print_history(document: dict[str, Any]) -> None:
    """Print promotions and retrains, oldest first."""
    console = open_console()
    log = document["promotions"]
    records = [
        (
            str(p["number"]),
            f"{p['at'][:10]} {p['at'][11:16]}",
            p["action"],
            f"{p['replaced'] or '-'} → {p['model_version']}" + (" (champion)" if p is log[-1] else ""),
            p["by"],
            p["reason"],
            p["retrain_id"],
        )
        for p in log
    ]
    columns = ("no", "at (UTC)", "action", "model version", "by", "why", "retrain of the model")
    console.print(table(columns, records, "promotions and rollbacks"))
    if waiting := document["challenger"]:
        console.print(
            f"challenger: model version {waiting['model_version']} of retrain {waiting['retrain_id']}, "
            f"measured against record {waiting['against']}",
            markup=False,
        )
    accepted = [
        (f"{a['accepted_at'][:10]} {a['accepted_at'][11:16]}", a["by"], a["reason"], _moved(a["moved"]), a["check_id"])
        for a in document["drift_accepted"]
    ]
    if accepted:
        of_drift = ("at (UTC)", "by", "why", "what moved where", "check")
        console.print(table(of_drift, accepted, "drift that persons accepted"))
    retrains = [
        (
            r["retrain_id"],
            (r["finished_at"] or "")[:16].replace("T", " "),
            _standing(r),
            r["set_off_by"],
            r["dataset_version"],
            "\n".join(r["reasons"]),
        )
        for r in document["retrains"]
    ]
    of_retrain = ("retrain", "ended (UTC)", "status", "set off by", "dataset version", "reasons")
    console.print(table(of_retrain, retrains, "retrains"))
    for what, problem in document["damaged"].items():
        console.print(f"{what} is not shown: {problem}", markup=False)


def _moved(by_site: dict[str, list[str]]) -> str:
    return "\n".join(f"{site}: {', '.join(properties)}" for site, properties in by_site.items())


def _standing(retrain: dict[str, Any]) -> str:
    if retrain["waits_until"]:
        return f"waiting for approval until {retrain['waits_until'][:16].replace('T', ' ')} UTC"
    given = retrain["approval"]
    return f"{retrain['status']} ({given['by']}: {given['reason']})" if given else str(retrain["status"])


def print_reconciled(result: "Reconciled") -> None:
    """Print what was found and done, one line each; or that nothing differed."""
    sections = (
        ("mended", result.mended),
        ("left alone", result.at_work),
        ("needs a person", result.needs_a_person),
    )
    for title, items in sections:
        for item in items:
            typer.echo(f"{title}: {item.what}: {item.found}; {item.done}")
    if not (result.mended or result.needs_a_person):
        typer.echo("nothing to mend")
