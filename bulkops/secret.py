"""A secret by reference: where it is kept, and the secret itself only when it is asked for.

No repr, error or JSON shows the secret: only `reveal` returns it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from bulkops.errors import TenantError


class Secret:
    """A secret by reference: `env:NAME`, `file:PATH`, `keyring:SERVICE`; any other text is a literal."""

    __slots__ = ("_folder", "_kind", "_text")

    def __init__(self, text: str, *, folder: Path | None = None) -> None:
        kind, colon, rest = text.partition(":")
        is_reference = bool(colon) and kind in ("env", "file", "keyring")
        self._kind = kind if is_reference else "literal"
        self._text = rest.strip() if is_reference else text
        self._folder = folder or Path()

    @property
    def is_literal(self) -> bool:
        return self._kind == "literal"

    @property
    def reference(self) -> str:
        """Where the secret is kept, never the secret."""
        return "a literal" if self.is_literal else f"{self._kind}:{self._text}"

    @property
    def file(self) -> Path | None:
        """The file it is kept in, where it is kept in one of its own."""
        return self._folder / Path(self._text).expanduser() if self._kind == "file" else None

    def reveal(self, account: str) -> str:
        """The secret itself. `account` is whose it is, for the keychain. TenantError says what is missing."""
        value = self._read(account)
        if not value:
            raise TenantError(f"{self.reference} is empty. Put the secret there")
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise TenantError(
                f"{self.reference} holds a line break or control character. Keep only the secret there"
            )
        return value

    def _read(self, account: str) -> str:
        if self._kind == "env":
            return self._from_env()
        if self._kind == "file":
            return self._from_file()
        return self._from_keyring(account) if self._kind == "keyring" else self._text

    def _from_env(self) -> str:
        try:
            return os.environ[self._text].strip()
        except KeyError:
            raise TenantError(
                f"the environment variable {self._text} is not set. Set it to the secret and start again"
            ) from None

    def _from_file(self) -> str:
        path = self.file
        assert path is not None
        try:
            return path.read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise TenantError(f"the file {path} cannot be read: {reason}. Write the secret into it") from None

    def _from_keyring(self, account: str) -> str:
        try:
            import keyring
        except ImportError:
            raise TenantError(
                f"{self.reference} needs the package keyring. Install it with `pip install bulkops[keyring]`"
            ) from None
        try:
            value = keyring.get_password(self._text, account)
        except keyring.errors.KeyringError as error:
            raise TenantError(
                f"{self.reference}: the keychain cannot be read ({type(error).__name__})"
            ) from None
        if value is None:
            raise TenantError(
                f"the keychain has no secret for service {self._text} and account {account}. "
                f"Store it with `keyring set {self._text} {account}`"
            )
        return str(value)

    def __repr__(self) -> str:
        return f"Secret({self.reference})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._kind, self._text) == (other._kind, other._text)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda s: s.reference),
        )

    @classmethod
    def _validate(cls, value: object, info: core_schema.ValidationInfo) -> Secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value:
            raise ValueError("must be text: env:NAME, file:PATH or keyring:SERVICE")
        return cls(value, folder=(info.context or {}).get("folder"))
