"""Where ladnn runs: values of environment variables, read by entry points only and passed down.

What an experiment is belongs to `ladnn.config`. Secrets are never printed.
"""

import os
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ladnn.errors import SettingsError

_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Places and secrets of one installation; see `read_settings` for the variables."""

    home: Path
    store_url: str
    tracking_uri: str
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_region: str | None = None
    _pseudonym_key: str | None = field(default=None, repr=False)

    @property
    def cache(self) -> Path:
        """Folder of files that can be deleted at any time and are made again."""
        return self.home / "cache"

    @property
    def artifact_root(self) -> Path:
        """Folder of MLflow artifacts where tracking has no server."""
        return self.home / "mlflow" / "artifacts"

    @property
    def embedded(self) -> bool:
        """True where the object store is a folder of this machine."""
        return self.store_url.startswith("file://")

    def pseudonym_key(self) -> bytes:
        """Return the secret that keys patient pseudonyms; an embedded installation makes its own once.

        Raises:
            SettingsError: LADNN_PSEUDONYM_KEY is too short, or not set where the store is shared.
        """
        if self._pseudonym_key is not None:
            if len(self._pseudonym_key) < _SHORTEST_KEY:
                raise SettingsError(
                    f"LADNN_PSEUDONYM_KEY is shorter than {_SHORTEST_KEY} characters; set a long random secret"
                )
            return self._pseudonym_key.encode()
        if not self.embedded:
            raise SettingsError(
                f"LADNN_PSEUDONYM_KEY is not set, but the store {self.store_url} is shared; "
                "set the same long random secret on every host"
            )
        return _own_key(self.home / "pseudonym.key")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read LADNN_HOME, LADNN_STORE_URL, LADNN_TRACKING_URI, LADNN_PSEUDONYM_KEY, LADNN_S3_ENDPOINT_URL and AWS_*.

    Without any of them everything lives under `~/.ladnn` and no server is needed.

    Raises:
        SettingsError: LADNN_STORE_URL is neither s3://bucket/prefix nor file:///folder.
    """
    values = os.environ if environment is None else environment
    home = Path(values.get("LADNN_HOME") or Path.home() / ".ladnn").expanduser().absolute()
    store_url = values.get("LADNN_STORE_URL") or (home / "store").as_uri()
    if urlsplit(store_url).scheme not in {"file", "s3"}:
        raise SettingsError(f"LADNN_STORE_URL is {store_url!r}; use s3://bucket/prefix or file:///absolute/folder")
    return Settings(
        home=home,
        store_url=store_url,
        tracking_uri=values.get("LADNN_TRACKING_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        s3_endpoint_url=values.get("LADNN_S3_ENDPOINT_URL"),
        s3_access_key_id=values.get("AWS_ACCESS_KEY_ID"),
        s3_secret_access_key=values.get("AWS_SECRET_ACCESS_KEY"),
        s3_region=values.get("AWS_REGION") or values.get("AWS_DEFAULT_REGION"),
        _pseudonym_key=values.get("LADNN_PSEUDONYM_KEY"),
    )


def _own_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32), encoding="ascii")
        try:
            os.link(draft, path)  # the first of several processes wins; a half-written key is never seen
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def silence_services(environment: MutableMapping[str, str]) -> None:
    """Set what keeps MLflow from sending telemetry, unpickling, or retrying a dead server for minutes.

    To be called by entry points before MLflow is imported. What the operator has set stays.
    """
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }.items():
        environment.setdefault(name, value)
