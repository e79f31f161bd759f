"""Ed25519 signatures (RFC 8032) and the keys that make and check them, as text that fits a variable or a line of a file.

A private key reads `ed25519-private:` and 43 characters, a public one `ed25519:` and 43 characters (base64url of the 32
bytes). A signature is its 64 bytes: `openssl pkeyutl -verify -rawin` checks it as well.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ladnn.errors import SettingsError

_PRIVATE, _PUBLIC = "ed25519-private:", "ed25519:"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; its representation does not show it."""

    _key: Ed25519PrivateKey

    @classmethod
    def new(cls) -> "SigningKey":
        """Make a key from the system's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str, source: str) -> "SigningKey":
        """Read a private key from text; `source` names where it comes from.

        Raises:
            SettingsError: the text is no private key; it is not repeated.
        """
        return cls(Ed25519PrivateKey.from_private_bytes(_key_bytes(text.strip(), _PRIVATE, source)))

    @property
    def text(self) -> str:
        """The private key as text."""
        return _PRIVATE + _encoded(self._key.private_bytes_raw())

    @property
    def public(self) -> str:
        """The public key as text; it may be shown to anyone."""
        return _PUBLIC + _encoded(self._key.public_key().public_bytes_raw())

    def sign(self, document: bytes) -> bytes:
        """Return the 64 bytes of the signature; the same document gives the same ones."""
        return self._key.sign(document)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys whose signatures are believed, as text; several, so that a key can be replaced."""

    keys: tuple[str, ...]

    @classmethod
    def read(cls, texts: Iterable[str], source: str) -> "TrustedKeys":
        """Check public keys; `source` names where they come from.

        Raises:
            SettingsError: one is no public key.
        """
        keys = tuple(dict.fromkeys(texts))
        for text in keys:
            _key_bytes(text, _PUBLIC, source)
        return cls(keys)

    def signer(self, document: bytes, signature: bytes) -> str | None:
        """Return the trusted key that signed these very bytes; None where none did."""
        return next((key for key in self.keys if _signed(key, document, signature)), None)

    def __str__(self) -> str:
        return ", ".join(self.keys) or "there is none"


def split_keys(text: str) -> list[str]:
    """Return the keys of a text: divided by commas, blanks or lines; what follows a # is a comment."""
    return re.sub(r"#.*", "", text).replace(",", " ").split()


def _signed(key: str, document: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(_key_bytes(key, _PUBLIC, "trusted keys")).verify(signature, document)
    except InvalidSignature:
        return False
    return True


def _encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def _key_bytes(text: str, prefix: str, source: str) -> bytes:
    if prefix == _PUBLIC and text.startswith(_PRIVATE):
        raise SettingsError(f"{source} holds a private key; put the public key there, `ladnn keys` shows it")
    try:
        key = base64.b64decode(text.removeprefix(prefix) + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(prefix) or len(key) != _KEY_BYTES:
        raise SettingsError(f"{source} holds no {prefix}… key; `ladnn keys --new` makes a pair")
    return key
