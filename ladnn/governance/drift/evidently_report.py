"""The only place that knows Evidently: population stability indices, the page to look at, and the workspace.

Evidently takes images for independent, so its indices describe and do not decide: `ladnn.governance.drift.comparison`
does. It is imported by the functions that need it, since that takes seconds.
"""

import html
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ladnn.config_monitoring import DriftConfig
from ladnn.governance.drift.comparison import Sides, Stream
from ladnn.governance.drift.permutation import distances_of
from ladnn.governance.drift.sample import Sample, is_numeric, on_common_terms
from ladnn.governance.drift.verdict import DriftRecord, Page, PropertyFacts
from ladnn.whole_file import write_whole

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

PROJECT = "ladnn"
_FEW_UNSEEN = 3
"""New categories, such as scanners, that a number may have which says what kind something is."""
_EVIDENTLY_CATEGORIES = 20
"""Distinct values up to which Evidently takes numbers for categories."""
_MARKUP = str.maketrans(dict.fromkeys("<>&", "_"))
"""Evidently writes values into a script of its page, and its charts read them as markup: no value may be any."""
_BAND = (
    '<div style="font-family:sans-serif;margin:0 auto;max-width:1200px;padding:16px 24px;border-bottom:2px solid #888">'
    "{}</div>"
)


def describe(stream: Stream, sides: Sides, config: DriftConfig) -> list[PropertyFacts]:
    """Return Evidently's population stability index of each property, all sites together.

    Args:
        stream: that is compared.
        sides: what it is compared with.
        config: its alpha sets what an index stays below by chance.
    """
    before, now = on_common_terms(sides.reference, sides.current)
    distances = distances_of(before, now)
    names = _comparable(before, now)
    indices = _indices(_run(before, now, dict.fromkeys(names, 0.0)), names)
    noise = {name: _noise(before, now, name, config.alpha / max(1, len(names))) for name in names}
    facts = [
        PropertyFacts(
            stream=stream,
            name=name,
            psi=indices.get(name),
            psi_noise=noise.get(name, 0.0),
            distance=distances[name],
        )
        for name in before.table.columns
    ]
    return sorted(facts, key=lambda item: -item.distance)


def draw(record: DriftRecord, streams: dict[Stream, Sides], workspace: Path | None) -> tuple[bytes, Page]:
    """Draw the properties that moved most, as many as the page's size allows, and add them to Evidently's workspace.

    Args:
        record: of the check; its verdict stands at the top of the page.
        streams: what was compared; at least one.
        workspace: folder of the workspace; None adds nothing.

    Returns:
        The page, and how much of it was left out.
    """
    stream = next((item for item in record.verdict.streams if item in streams), next(iter(streams)))
    before, now = on_common_terms(streams[stream].reference, streams[stream].current)
    of_stream = [item for item in record.properties if item.stream == stream]
    facts = {item.name: item for item in of_stream if item.psi is not None}
    n_apart = len(of_stream) - len(facts)
    ordered = [name for name in record.verdict.properties if name in facts]
    ordered += [name for name in facts if name not in ordered]
    n_drawn = len(ordered)
    while True:
        snapshot = _run(before, now, {name: facts[name].psi_noise for name in ordered[:n_drawn]})
        page = Page(n_bytes=0, n_properties=len(of_stream), n_not_comparable=n_apart, n_left_out=len(facts) - n_drawn)
        data = _page(snapshot, record, stream, page)
        if len(data) <= record.config.max_html_bytes or n_drawn <= 1:
            break
        n_drawn = _fewer(n_drawn, len(data), record.config.max_html_bytes)
    if workspace is not None:
        _keep(snapshot, record, workspace)
    return data, page.model_copy(update={"n_bytes": len(data)})


def _fewer(n_drawn: int, n_bytes: int, limit: int) -> int:
    """Return how many properties may fit, a little fewer than the sizes say: the drawing library is most of a page."""
    library = 3_700_000
    share = max(0.0, limit - library) / max(1, n_bytes - library)
    return max(1, min(n_drawn - 1, int(0.9 * n_drawn * share)))


def _run(before: Sample, now: Sample, limits: dict[str, float]) -> "Snapshot":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Evidently's own use of NumPy and pandas
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

        names = list(limits)
        numbers = [name for name in names if is_numeric(before.table, name)]
        definition = DataDefinition(
            numerical_columns=numbers, categorical_columns=[name for name in names if name not in numbers]
        )
        metrics = [ValueDrift(column=name, method="psi", threshold=limit) for name, limit in limits.items()]
        return Report(metrics).run(
            current_data=Dataset.from_pandas(_without_markup(now.table[names]), data_definition=definition),
            reference_data=Dataset.from_pandas(_without_markup(before.table[names]), data_definition=definition),
        )


def _without_markup(table: pd.DataFrame) -> pd.DataFrame:
    """Take away what a browser could read as a tag from texts that contributors and clients of the service chose."""
    texts = {name: table[name].str.translate(_MARKUP) for name in table.columns if not is_numeric(table, name)}
    return table.assign(**texts)


def _indices(snapshot: "Snapshot", names: Sequence[str]) -> dict[str, float]:
    found = {item["config"]["column"]: float(item["value"]) for item in snapshot.dict()["metrics"]}
    return {name: found[name] for name in names if math.isfinite(found[name])}


def _comparable(before: Sample, now: Sample) -> list[str]:
    """Return the properties that Evidently can compare.

    It refuses empty columns, and takes a number of which the reference states 20 values or fewer for a category: of a
    measurement, that would only say that no value is the same.
    """
    return [name for name in before.table.columns if _is_comparable(before, now, name)]


def _is_comparable(before: Sample, now: Sample, name: str) -> bool:
    known, new = before.table[name].dropna(), now.table[name].dropna()
    if known.empty or new.empty:
        return False
    if not is_numeric(before.table, name) or known.nunique() > _EVIDENTLY_CATEGORIES:
        return True
    unseen = len(set(new) - set(known))
    is_measured = known.nunique() > known.size / 2 or unseen > max(_FEW_UNSEEN, known.nunique() / 2)
    return not (unseen and is_measured)


def _noise(before: Sample, now: Sample, name: str, alpha: float) -> float:
    """Return what the index of so many patients stays below by chance, or 0.1 where that is less.

    Without a shift it is about (1/n + 1/m) times a chi-squared variable (Yurdakul and Naranjo 2020,
    doi:10.21314/JRMV.2020.227); a tenth is the usual limit of what matters.
    """
    from scipy.stats import chi2

    stated = [side.table[name].notna().to_numpy() for side in (before, now)]
    values = np.concatenate([before.table[name][stated[0]].to_numpy(), now.table[name][stated[1]].to_numpy()])
    n_distinct = np.unique(values).size
    n_bins = min(n_distinct, int(math.log2(len(values))) + 2) if is_numeric(before.table, name) else n_distinct
    scale = sum(1 / np.unique(side.patients[rows]).size for side, rows in zip((before, now), stated, strict=True))
    return max(0.1, float(scale * chi2.isf(alpha, max(1, n_bins - 1))))


def _page(snapshot: "Snapshot", record: DriftRecord, stream: Stream, page: Page) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body: str = snapshot.get_html_str(as_iframe=False)
    return body.replace("<body>", f"<body>{_BAND.format(_heading(record, stream, page))}", 1).encode()


def _heading(record: DriftRecord, stream: Stream, page: Page) -> str:
    verdict = record.verdict
    units = {"contributions": "patients", "service": "requests", "intake": "contributions"}
    counts = "; ".join(
        f"{item.stream}: {item.n_images} images of {item.n_patients} {units[item.stream]}" for item in record.streams
    )
    told = (
        f"{page.n_left_out} of {page.n_properties} properties, those that moved least, are left out to keep this page "
        f"under {record.config.max_html_bytes / 1e6:.1f} MB (drift.max_html_bytes); the record names all."
        if page.n_left_out
        else f"{page.n_properties - page.n_not_comparable} of {page.n_properties} properties are drawn."
    )
    if page.n_not_comparable:
        told += f" Of {page.n_not_comparable} a side states too few values to draw."
    lines = [
        f"Reference: {record.n_reference_images} images of {record.n_reference_patients} patients of {record.dataset_version}, "
        f"on which model version {record.model_version} was developed. Current: {counts}. Checked {record.checked_at:%Y-%m-%d %H:%M} UTC.",
        "The verdict counts patients, site by site, and allows for the number of properties. Below: all sites together and "
        "every image by itself (population stability index), so single flags there may differ from the verdict.",
        f"Drawn: {stream}. {told}",
    ]
    moved = "".join(
        f"<li>{html.escape(item.scope)} ({item.basis}, {item.n_current_patients} patients against "
        f"{item.n_reference_patients}): {html.escape(', '.join(f'{m.name} {m.distance:.2f}' for m in item.moved))}</li>"
        for item in record.comparisons
        if item.alarm
    )
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    heading = f"<h2>Drift: {html.escape(verdict.action.value)}</h2><p>{html.escape(verdict.reason)}</p>"
    return f"{heading}<ul>{moved}</ul>{paragraphs}"


def _keep(snapshot: "Snapshot", record: DriftRecord, folder: Path) -> None:
    """Add a check to the workspace once; a check that is repeated is there already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently.ui.workspace import Workspace

        folder.mkdir(parents=True, exist_ok=True)
        workspace: Any = Workspace.create(str(folder))
        project = next(iter(workspace.search_project(PROJECT)), None) or workspace.create_project(PROJECT)
        kept = folder / "checks.json"
        done = json.loads(kept.read_text()) if kept.exists() else []
        if record.id in done:
            return
        snapshot.set_name(f"{record.verdict.action.value} {record.checked_at:%Y-%m-%d}")
        workspace.add_run(project.id, snapshot)
        write_whole(kept, json.dumps([*done, record.id]).encode())
