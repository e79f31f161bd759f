"""Commands for dataset versions: `ladnn dataset freeze|list|show|diff|card|duplicates`."""

from pathlib import Path
from typing import Annotated

import typer

from ladnn.cli.files import write_asked
from ladnn.cli.options import Json
from ladnn.platform import open_platform
from ladnn.result import emit

app = typer.Typer(no_args_is_help=True, help="Frozen dataset versions: what is in them, and what changed.")
Version = Annotated[
    str | None,
    typer.Argument(
        help="Version, or how its id begins; without it the one frozen last, or one that is frozen now.",
        show_default=False,
    ),
]


@app.command()
def freeze(
    config: Annotated[Path | None, typer.Option(help="Experiment file; its section data counts.")] = None,
    cut: Annotated[str | None, typer.Option(help="Freeze this cut, such as D0, instead of the config's.")] = None,
    as_json: Json = False,
) -> None:
    """Freeze what intake has accepted as a dataset version, with its data card."""
    from ladnn.config import DataConfig
    from ladnn.config_file import load_config
    from ladnn.dataset.card.keeping import keep_card, keep_page
    from ladnn.dataset.freezing import freeze as freeze_version

    data = load_config(config).data if config else DataConfig()
    store = open_platform().store
    version = freeze_version(store, data.of_cut(cut) if cut is not None else data)
    card = keep_card(store, version)
    keep_page(store, version)
    if as_json:
        emit(version)
    else:
        from ladnn.cli.dataset_tables import print_version

        print_version(card)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all versions, oldest first."""
    from ladnn.dataset.version import list_versions

    versions = list_versions(open_platform().store)
    if as_json:
        emit(versions)
    else:
        from ladnn.cli.dataset_tables import print_versions

        print_versions(versions)


@app.command()
def show(version: Version = None, as_json: Json = False) -> None:
    """Show one version with all its counts."""
    from ladnn.dataset.card.keeping import keep_card
    from ladnn.dataset.freezing import chosen_version

    store = open_platform().store
    card = keep_card(store, chosen_version(store, version))
    if as_json:
        counts = card.model_dump(mode="json", include={"counts", "patients", "lesions_per_positive", "group_basis"})
        emit(card.version.model_dump(mode="json") | counts)
    else:
        from ladnn.cli.dataset_tables import print_version

        print_version(card)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Version, or how its id begins.")],
    after: Annotated[str, typer.Argument(help="Version, or how its id begins.")],
    as_json: Json = False,
) -> None:
    """Show what changed between two versions: records, labels, splits and groups."""
    from ladnn.dataset.diff import compare_versions
    from ladnn.dataset.version import find_version

    store = open_platform().store
    result = compare_versions(store, find_version(store, before).id, find_version(store, after).id)
    if as_json:
        emit(result)
    else:
        from ladnn.cli.dataset_tables import print_diff

        print_diff(result)


@app.command()
def card(
    version: Version = None,
    html: Annotated[Path | None, typer.Option(help="Write the card as a page to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show the data card of a version: counts, lesions, provenance, and what is unknown."""
    from ladnn.dataset.card.keeping import keep_card, keep_page
    from ladnn.dataset.freezing import chosen_version

    store = open_platform().store
    found = chosen_version(store, version)
    facts = keep_card(store, found)
    if html is not None:
        write_asked(html, keep_page(store, found))
    if as_json:
        emit(facts)
    elif html is None:
        from ladnn.cli.dataset_tables import print_card

        print_card(facts)


@app.command()
def duplicates(version: Version = None, as_json: Json = False) -> None:
    """List the pictures that turned up under two patients or studies, those with other labels first."""
    from ladnn.dataset.duplicates import find_duplicates
    from ladnn.dataset.freezing import chosen_version

    store = open_platform().store
    found = find_duplicates(store, chosen := chosen_version(store, version))
    if as_json:
        emit(found)
    else:
        from ladnn.cli.dataset_tables import print_duplicates

        print_duplicates(chosen.id, found)
