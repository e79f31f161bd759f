"""How dataset versions look on a terminal."""

from collections.abc import Sequence

from rich.console import Console

from ladnn.dataset.card.facts import DIAGNOSES, PARTS, DataCard, by_size, rate
from ladnn.dataset.diff import VersionDiff
from ladnn.dataset.duplicates import Duplicate
from ladnn.dataset.split import RATIOS, SPLITS
from ladnn.dataset.version import DatasetVersion
from ladnn.labels import LABELS
from ladnn.presentation import open_console, table

_MOST_IMAGES = 10
"""Named in one line; `--json` names them all."""
_DIGEST = 12
"""Characters of a digest that people are shown."""


def print_versions(versions: Sequence[DatasetVersion]) -> None:
    """Print all versions."""
    rows = [
        (
            version.id,
            f"{version.frozen_at:%Y-%m-%d %H:%M}",
            _cut(version),
            str(version.n_images),
            str(version.n_groups),
            *(f"{version.splits[split].n_images} ({version.splits[split].n_groups})" for split in SPLITS),
        )
        for version in versions
    ]
    columns = ("version", "frozen at (UTC)", "cut", "images", "patients", *SPLITS)
    open_console().print(table(columns, rows, f"dataset versions: {len(rows)}; splits in images (patients)"))
    if not rows:
        open_console().print("next: ladnn dataset freeze")


def print_version(card: DataCard) -> None:
    """Print one version with its counts."""
    console, version = open_console(), card.version
    console.print(f"dataset version {version.id}, cut {_cut(version)}", markup=False)
    console.print(f"  frozen {version.frozen_at:%Y-%m-%d %H:%M} UTC; test part {version.test_version}")
    console.print(f"  {version.n_images} images of {version.n_groups} patients, {version.n_left_out} left out")
    _print_counts(console, card)
    rows = [(part, *(str(n) for n in card.lesions_per_positive[part])) for part in PARTS]
    numbers = ("none named", *(str(n) for n in range(1, len(card.lesions_per_positive["all"]))))
    console.print(table(("split", *numbers), rows, "positive images by number of lesions"))
    console.print("patients by what they are known by: " + _counted(card.group_basis))
    console.print(f"next: ladnn dataset card {version.id} --html card.html")


def print_card(card: DataCard) -> None:
    """Print what a data card states, in short."""
    print_version(card)
    console = open_console()
    rows = [
        (code, *(str(n) for n in (of.n_present, of.n_absent, of.n_unknown, of.n_uncertain)), _counted(of.by_source))
        for code, of in ((code, card.labels[code]) for code in LABELS)
    ]
    columns = ("label", "present", "absent", "unknown", "uncertain", "known from")
    console.print(table(columns, rows, "labels, in images"))
    for name, values in card.by_diagnosis.items():
        rows = [
            (value, *(str(n) for n in (of["positive"], of["negative"], of["unknown"]))) for value, of in by_size(values)
        ]
        console.print(table((name, "positive", "negative", "unknown"), rows))
    intake = card.intake
    n_images = intake.n_accepted + intake.n_known + intake.n_quarantined
    console.print(
        f"intake: {intake.n_accepted} images accepted, {intake.n_known} known before, {intake.n_quarantined} in "
        f"quarantine ({rate(intake.n_quarantined, n_images)}), {intake.n_whole} whole contributions in quarantine"
    )
    if intake.by_reason:
        console.print("  quarantine by reason: " + _counted(intake.by_reason))
    for title, sentences in (("what is not known", card.unknown), ("what gives the diagnosis away", card.one_sided)):
        if sentences:
            console.print(f"{title}:")
        for sentence in sentences:
            console.print(f"  {sentence}", markup=False)


def print_diff(diff: VersionDiff) -> None:
    """Print what changed between two versions."""
    console = open_console()
    console.print(f"from {diff.before} to {diff.after}")
    if diff.is_empty:
        console.print("  no record, label, split or group changed")
        return
    rows = [
        ("records added", str(len(diff.added)), _some(diff.added)),
        ("records removed", str(len(diff.removed)), _some(diff.removed)),
        ("patients added", str(diff.n_patients_added), ""),
        ("patients removed", str(diff.n_patients_removed), ""),
        *((f"{c.label}: {c.before} -> {c.after}", str(len(c.images)), _some(c.images)) for c in diff.labels),
        *((f"group {_short(join.group)} joined", str(len(join.joined)), _some(join.joined)) for join in diff.joins),
        ("split moves (must be none)", str(len(diff.moves)), _some([move.image for move in diff.moves])),
    ]
    console.print(table(("change", "count", "images or groups"), rows))


def print_duplicates(version_id: str, found: Sequence[Duplicate]) -> None:
    """Print the pictures that turned up under two patients or studies."""
    rows = [
        (
            item.kind,
            _short(item.known_image),
            _short(item.known_group),
            _short(item.image),
            _short(item.group),
            item.split or "left out",
            f"for review: {', '.join(item.differing)}" if item.differing else "",
        )
        for item in found
    ]
    columns = ("kind", "image", "patient", "newer image", "patient", "split", "labels differ")
    title = f"duplicates of {version_id}; pairs: {len(rows)}, for review: {sum(bool(d.differing) for d in found)}"
    open_console().print(table(columns, rows, title))


def _print_counts(console: Console, card: DataCard) -> None:
    rows = []
    for part in PARTS:
        counts = [card.counts[part][kind] for kind in DIAGNOSES]
        target = "" if part == "all" else f" ({100 * RATIOS[part]:.0f} %)"
        share = rate(card.patients[part], card.version.n_groups) + target
        rows.append((part, *(f"{c.n_images} ({c.n_patients})" for c in counts), str(card.patients[part]), share))
    columns = ("split", "positive", "negative", "diagnosis unknown", "patients", "share (target)")
    console.print(table(columns, rows, "images (patients)"))


def _cut(version: DatasetVersion) -> str:
    kind = "synthetic, " if version.synthetic else ""
    return f"{kind}{version.cut or 'everything'}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in by_size(counts))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_IMAGES} more" if len(names) > _MOST_IMAGES else ""
    return " ".join(_short(name) for name in names[:_MOST_IMAGES]) + more


def _short(name: str) -> str:
    return name[:_DIGEST]
