"""Commands that bring contributions into the inbox and through intake."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladnn.cli.options import Json
from ladnn.errors import ContributionError
from ladnn.platform import open_platform
from ladnn.progress import progress_bar, say
from ladnn.result import emit
from ladnn.store import ObjectStore

if TYPE_CHECKING:
    from ladnn.intake.contribution import Study

importing = typer.Typer(no_args_is_help=True, help="Turn a public collection into contributions.")
schema = typer.Typer(no_args_is_help=True, help="Print what a file must look like.")

_MOST_LINES = 10
"""Missing files that are named one by one."""
_COUNTS = ("new", "known", "images")


@importing.command("covid-ct")
def import_covid_ct(
    folder: Annotated[Path, typer.Argument(help="Folder with metadata.csv and images/.")],
    keep_split: Annotated[
        str | None, typer.Option(help="Keep the split of this column, such as authors_split.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Contribute the COVID-CT collection, one contribution a patient; a second time changes nothing."""
    from ladnn.intake.covid_ct import covid_ct_studies

    store, counts, n_missing = open_platform().store, Counter(dict.fromkeys(_COUNTS, 0)), 0
    for imported in covid_ct_studies(folder, keep_split):
        for line in imported.missing[: max(0, _MOST_LINES - n_missing)]:
            say(line)
        n_missing += len(imported.missing)
        if imported.study is not None:
            _contribute(store, imported.study, imported.files, counts)
    if n_missing > _MOST_LINES:
        say(f"{n_missing} images of the table have no file; the first {_MOST_LINES} are named above")
    if counts["images"] == 0:
        raise ContributionError(
            f"not one image that {folder / 'metadata.csv'} names is in {folder / 'images'}; check the folder"
        )
    _report_contributions(counts | {"missing": n_missing}, as_json)


def phantoms(
    patients: Annotated[int, typer.Option(min=1, help="Number of patients.")] = 96,
    slices: Annotated[int, typer.Option(min=1, help="Slices a patient.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same patients.")] = 1,
    as_json: Json = False,
) -> None:
    """Contribute synthetic patients to the inbox; a second time changes nothing."""
    from ladnn.intake.phantom_contributions import phantom_contributions

    store, counts = open_platform().store, Counter(dict.fromkeys(_COUNTS, 0))
    with progress_bar("phantoms: patients") as bar:
        for done, (study, files) in enumerate(phantom_contributions(seed, patients, slices), start=1):
            _contribute(store, study, files, counts)
            bar(done, patients)
    _report_contributions(counts | {"missing": 0}, as_json)


def contribute(
    folders: Annotated[list[Path], typer.Argument(help="Folders, each with a study.json and its images.")],
    check: Annotated[bool, typer.Option("--check", help="Only say whether intake would accept it.")] = False,
    as_json: Json = False,
) -> None:
    """Check studies, take out what identifies people, and send them; the same study twice is sent once.

    Patient and study ids become pseudonyms, DICOM headers are de-identified, files get neutral names and reports lose
    identifiers, before anything leaves this machine. Digests that study.json lacks are filled in.
    """
    from ladnn.intake.folder import check_study, deidentified, read_folder

    platform = open_platform()
    key = platform.settings.pseudonym_key()
    for folder in folders:  # all are checked before the first is sent
        try:
            check_study(*read_folder(folder))
        except ContributionError as error:
            if str(folder) in str(error):
                raise
            raise ContributionError(f"{folder}: {error}") from error
    sent: list[dict[str, object]] = []
    for folder in folders:
        study, files = deidentified(*read_folder(folder), key)
        identity = (None, False) if check else _send(platform.store, study, files)
        sent.append({"contribution": identity[0], "new": identity[1], "images": len(files)})
    if as_json:
        emit(sent)
        return
    for folder, item in zip(folders, sent, strict=True):
        state = "sent" if item["new"] else "was sent before"
        how = "can be sent" if check else f"{state} as contribution {item['contribution']}"
        typer.echo(f"{folder}: {item['images']} images, {how}")


def intake(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Look through the whole inbox, past weeks too (a retrain does so).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take in what waits in the inbox: each contribution ends accepted or quarantined with a reason."""
    from ladnn.dataset.desk import open_desk
    from ladnn.intake.process import take_in

    with progress_bar("intake: contributions") as bar:
        report = take_in(open_desk(open_platform()), bar, sweep=sweep)
    if as_json:
        emit(
            {
                "contributions": report.n_contributions,
                "accepted": report.n_accepted,
                "already_known": report.n_known,
                "quarantined": report.quarantined_by_reason,
            }
        )
    else:
        typer.echo("\n".join(report.lines))


@schema.command("contribution")
def contribution() -> None:
    """Print the JSON Schema of a contribution's study.json."""
    from ladnn.intake.contribution import contribution_schema

    typer.echo(json.dumps(contribution_schema(), indent=2))


@schema.callback()
def _group() -> None:
    """Keep `contribution` a command of its own, although it is the only one yet."""


def _contribute(store: ObjectStore, study: "Study", files: dict[str, bytes], counts: Counter[str]) -> None:
    _, new = _send(store, study, files)
    counts["new" if new else "known"] += 1
    counts["images"] += len(files)


def _send(store: ObjectStore, study: "Study", files: dict[str, bytes]) -> tuple[str, bool]:
    from ladnn.intake.inbox import contribute as write

    return write(store, study, files, datetime.now(UTC).date())


def _report_contributions(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        emit(counts)
    else:
        typer.echo(
            f"{counts['new']} new contributions in the inbox, {counts['known']} were there; {counts['images']} images in all"
        )
