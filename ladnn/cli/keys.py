"""Commands for signatures: `ladnn keys` and `ladnn verify`."""

from pathlib import Path
from typing import Annotated

import typer

from ladnn.cli.options import Json
from ladnn.platform import open_platform
from ladnn.result import emit
from ladnn.settings import Settings, read_settings
from ladnn.signing import SigningKey


def keys(
    new: Annotated[bool, typer.Option("--new", help="Print a new key pair, and keep it nowhere.")] = False,
    as_json: Json = False,
) -> None:
    """Show the public key that signs here and those that are trusted, or make a new key pair."""
    if new:
        key = SigningKey.new()
        if as_json:
            emit({"LADNN_SIGNING_KEY": key.text, "public": key.public})
        else:
            typer.echo(f"LADNN_SIGNING_KEY={key.text}  # secret: for the hosts that retrain")
            typer.echo(f"LADNN_TRUSTED_KEYS={key.public}  # for the hosts that serve; keep the old keys beside it")
        return
    settings = read_settings()
    signs, trusted = settings.signing_key().public if settings.has_signing_key else None, settings.trusted_keys()
    if as_json:
        emit({"signs": signs, "trusted": list(trusted.keys)})
        return
    typer.echo(f"signs bundles: {signs or _without_key(settings)}")
    for known in trusted.keys or [str(trusted)]:
        typer.echo(f"trusted: {known}")


def _without_key(settings: Settings) -> str:
    if not settings.can_sign:
        return "no key here (LADNN_SIGNING_KEY is not set); this host can only serve"
    place = settings.home / "signing.key"
    return f"no key yet; the first retrain makes {place}; if there was one, restore it from backup, or no bundle is trusted"


def verify(
    model: Annotated[
        str,
        typer.Argument(
            help="champion, a version, a retrain (r-…), a bundle (b-…), or a folder: a bundle's, or one that MLflow downloads."
        ),
    ] = "champion",
    as_json: Json = False,
) -> None:
    """Check a bundle by hand: signature, digest of each file, golden outputs; ends with 1 if it is not to be trusted."""
    from ladnn.registry.bundle import load_bundle
    from ladnn.registry.named_models import bundle_named, open_download

    folder = Path(model)
    if folder.is_dir():
        bundle = open_download(folder.resolve(), read_settings().trusted_keys())
    else:
        platform = open_platform()
        bundle = load_bundle(platform.store, bundle_named(platform.store, model), platform.settings.trusted_keys())
    if as_json:
        emit({"bundle_id": bundle.id, "signed_by": bundle.signed_by, "files": bundle.manifest.files})
        return
    typer.echo(f"bundle {bundle.id} is whole, signed by {bundle.signed_by}, and reproduces its golden outputs")
    for name, digest in bundle.manifest.files.items():
        typer.echo(f"  {digest}  {name}")
