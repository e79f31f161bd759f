"""Where ladnn runs: values of environment variables, read by entry points only and passed down.

What an experiment is belongs to `ladnn.config`. Secrets are never printed.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from ladnn.errors import SettingsError
from ladnn.signing import SigningKey, TrustedKeys, split_keys

_SHORTEST_KEY = 16
_PLACEHOLDER = re.compile(r"change.?me|default|placeholder", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """Places and secrets of one installation; see `read_settings` for the variables."""

    home: Path
    store_url: str
    weights_url: str | None
    tracking_uri: str = field(repr=False)  # may hold a database password
    s3_endpoint_url: str | None = field(default=None, repr=False)
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_region: str | None = None
    _pseudonym_key: str | None = field(default=None, repr=False)
    _signing_key: str | None = field(default=None, repr=False)
    _trusted_keys: str | None = None

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
        """True where the object store is a folder within the home; any other may be another host's, too."""
        url = urlsplit(self.store_url)
        return url.scheme == "file" and Path(unquote(url.path)).is_relative_to(self.home)

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
            if _PLACEHOLDER.search(self._pseudonym_key):
                raise SettingsError(
                    "LADNN_PSEUDONYM_KEY is a placeholder that anyone can guess; set a long random secret"
                )
            return self._pseudonym_key.encode()
        if not self.embedded:
            raise SettingsError(
                "LADNN_PSEUDONYM_KEY is not set, but LADNN_STORE_URL names a shared store; "
                "set the same long random secret on every host"
            )
        key = _own_key(self.home / "pseudonym.key", lambda: secrets.token_hex(32)).encode()
        if len(key) < _SHORTEST_KEY:
            raise SettingsError(
                f"{self.home / 'pseudonym.key'} holds no whole key; restore it from backup, "
                "or known patients get other pseudonyms"
            )
        return key

    @property
    def can_sign(self) -> bool:
        """True where there is a signing key, or one is made when it is needed."""
        return self.embedded or self._signing_key is not None

    @property
    def has_signing_key(self) -> bool:
        """True where there is a signing key now."""
        return self._signing_key is not None or (self.embedded and self._own_signing_key.exists())

    def signing_key(self) -> SigningKey:
        """Return the private key that signs bundles; an embedded installation makes its own once.

        Raises:
            SettingsError: LADNN_SIGNING_KEY is no key, or not set where the store is shared.
        """
        if self._signing_key is not None:
            return SigningKey.read(_key_or_file(self._signing_key, "LADNN_SIGNING_KEY"), "LADNN_SIGNING_KEY")
        if not self.embedded:
            raise SettingsError(
                "LADNN_SIGNING_KEY is not set, but LADNN_STORE_URL names a shared store; `ladnn keys --new` makes a key: "
                "set it on the hosts that retrain, and the public one in LADNN_TRUSTED_KEYS on those that only serve"
            )
        return SigningKey.read(
            _own_key(self._own_signing_key, lambda: SigningKey.new().text), str(self._own_signing_key)
        )

    def trusted_keys(self) -> TrustedKeys:
        """Return the keys whose bundles are accepted: those of LADNN_TRUSTED_KEYS and this installation's own, if any.

        Raises:
            SettingsError: something listed is no key.
        """
        listed = _key_or_file(self._trusted_keys, "LADNN_TRUSTED_KEYS") if self._trusted_keys else ""
        own = [self.signing_key().public] if self.has_signing_key else []
        return TrustedKeys.read([*split_keys(listed), *own], "LADNN_TRUSTED_KEYS")

    @property
    def _own_signing_key(self) -> Path:
        return self.home / "signing.key"


def default_home() -> Path:
    """Return where state lives if LADNN_HOME is not set."""
    return Path.home() / ".ladnn"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read LADNN_HOME, LADNN_STORE_URL, LADNN_WEIGHTS_URL, LADNN_TRACKING_URI, the keys and S3's variables.

    Keys are LADNN_PSEUDONYM_KEY, LADNN_SIGNING_KEY and LADNN_TRUSTED_KEYS; S3's are LADNN_S3_ENDPOINT_URL and AWS_*.

    Without any of them everything lives under `~/.ladnn` and no server is needed. An empty one counts as not set.

    Raises:
        SettingsError: LADNN_STORE_URL or LADNN_WEIGHTS_URL is neither s3://bucket/prefix nor file:///folder.
    """
    given = os.environ if environment is None else environment
    values = {name: value for name, value in given.items() if value}
    # Temporary credentials have a third part; boto3 takes all three from the environment if it is given none.
    keys: Mapping[str, str] = {} if "AWS_SESSION_TOKEN" in values else values
    home = Path(values.get("LADNN_HOME") or default_home()).expanduser().absolute()
    store_url = values.get("LADNN_STORE_URL") or (home / "store").as_uri()
    for name, url in {"LADNN_STORE_URL": store_url, "LADNN_WEIGHTS_URL": values.get("LADNN_WEIGHTS_URL")}.items():
        if url and urlsplit(url).scheme not in {"file", "s3"}:  # not repeated: it may hold a password
            raise SettingsError(f"{name} has another scheme; use s3://bucket/prefix or file:///absolute/folder")
    return Settings(
        home=home,
        store_url=store_url,
        weights_url=values.get("LADNN_WEIGHTS_URL"),
        tracking_uri=values.get("LADNN_TRACKING_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        s3_endpoint_url=values.get("LADNN_S3_ENDPOINT_URL"),
        s3_access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
        s3_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
        s3_region=values.get("AWS_REGION") or values.get("AWS_DEFAULT_REGION"),
        _pseudonym_key=values.get("LADNN_PSEUDONYM_KEY"),
        _signing_key=values.get("LADNN_SIGNING_KEY"),
        _trusted_keys=values.get("LADNN_TRUSTED_KEYS"),
    )


def _key_or_file(value: str, variable: str) -> str:
    """Return the text of a variable, or of the file that it names by an absolute path."""
    if not value.startswith(("/", "~")):
        return value
    try:
        return Path(value).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{variable} names {value}, which cannot be read as text; name a file with the key"
        ) from error


def _own_key(path: Path, make: Callable[[], str]) -> str:
    """Return what a key file of this installation holds, made once by whichever process comes first."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_key(path, make())
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SettingsError(f"cannot keep {path}: {error.strerror}; set LADNN_HOME to a folder of this user") from error


def _write_key(path: Path, key: str) -> None:
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    draft.touch(mode=0o600)
    try:
        with draft.open("w", encoding="ascii") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)  # the first of several processes wins; a half-written key is never seen
    finally:
        draft.unlink()


def silence_services(environment: MutableMapping[str, str]) -> None:
    """Set what keeps MLflow from sending telemetry, unpickling, or retrying a dead server for minutes.

    To be called by entry points before MLflow is imported. What the operator has set stays.
    """
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # it would draw into logs, where there is no terminal
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # its failures are reported once, in one line, by the command
    }.items():
        environment.setdefault(name, value)
