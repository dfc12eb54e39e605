"""Tenants: which Autotask database, with whose credentials, with how much of its budget (`bulkops.toml`).

Secrets are references that are resolved when a connection is made; a literal is accepted for a server on
this machine only. Nothing here sends anything: which URLs may ever see credentials is decided here too.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from bulkops.errors import Fault, TenantError
from bulkops.secret import Secret
from bulkops.wording import nearest, sentences

CONFIG_NAME = "bulkops.toml"
VENDOR_DOMAIN = "autotask.net"
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[\w.~/-]*)?"
)
_VERSION_SUFFIX = re.compile(r"/v1\.0/*$", re.IGNORECASE)  # the calls add it themselves


def is_loopback(url: str) -> bool:
    """Whether `url` is a server on this machine."""
    match = _URL.fullmatch(url)
    if match is None:
        return False
    host = match["host"].strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def accept_url(url: str) -> str:
    """The base URL without its trailing slash and version. ValueError where credentials must not go.

    Accepted are https on the vendor's domain, and loopback.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(
            "is not a plain http or https URL; write it like https://webservices5.autotask.net/ATServicesRest"
        )
    host = match["host"].lower()
    is_vendor = host == VENDOR_DOMAIN or host.endswith("." + VENDOR_DOMAIN)
    if is_vendor and match["scheme"].lower() != "https":
        raise ValueError("would send the credentials unencrypted; write https://")
    if not is_vendor and not is_loopback(url):
        raise ValueError(
            f"would send the credentials to {host}; only *.{VENDOR_DOMAIN} and this machine are accepted"
        )
    return _VERSION_SUFFIX.sub("", url.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Resolved secrets, alive while a connection is. Its repr shows none of them."""

    username: str
    secret: str = field(repr=False)
    integration_code: str = field(repr=False)


class _Model(BaseModel):
    # Texts of pydantic must not repeat what was written: it may be a secret in the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Budget(_Model):
    """What bulkops may use of the tenant. `share` × `requests` holds our calls and everybody else's."""

    share: float = Field(default=0.75, gt=0, le=1)
    requests: int | None = Field(default=None, gt=0)  # None: what ThresholdInformation says
    window_s: float | None = Field(default=None, gt=0)  # likewise
    per_entity: int = Field(default=2, ge=1, le=3)  # in flight per entity
    release_ms: float = Field(default=60, ge=0)  # a slot is free this long after its answer
    # Whether a child's path counts for its parent's slots is not documented (ThreadLimiting.htm),
    # so both are taken unless the operator knows better.
    child_counts: Literal["child", "parent", "both"] = "both"
    alone: bool = False  # true: no other bulkops of this machine uses the tenant, so no ledger is kept


BaseUrl = Annotated[str, AfterValidator(accept_url)]


class Tenant(_Model):
    """One Autotask database and how to reach it."""

    name: str
    url: BaseUrl | None = None  # None: asked of zone information
    zone_url: BaseUrl | None = None  # where zone information is asked; None: the vendor's general host
    username: str = Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")
    secret: Secret
    integration_code: Secret
    impersonate: int | None = Field(default=None, gt=0)  # resource id
    settle_s: float = Field(default=310, ge=0)  # an unanswered write may land this long after it was sent
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _literals_stay_on_this_machine(self, info: ValidationInfo) -> Self:
        asked = self.url or self.zone_url
        if asked is None or not is_loopback(asked):
            for key in ("secret", "integration_code"):
                if getattr(self, key).is_literal:
                    raise ValueError(
                        f"{key} is written as it is, which is accepted for a server on this machine only; "
                        f"write env:NAME, file:PATH or keyring:SERVICE"
                    )
        return self

    def credentials(self) -> Credentials:
        """The secrets, read now from where they are kept. TenantError names the one that is missing."""
        revealed = {}
        for key in ("secret", "integration_code"):
            try:
                revealed[key] = getattr(self, key).reveal(self.username)
            except TenantError as error:
                raise TenantError(f"tenant {self.name}, {key}: {error}") from None
        return Credentials(username=self.username, **revealed)

    def with_share(self, share: float) -> Tenant:
        """The same tenant with another share of its budget. ValueError outside 0 < share <= 1."""
        if not 0 < share <= 1:
            raise ValueError("the share must be above 0 and at most 1")
        return self.model_copy(update={"budget": self.budget.model_copy(update={"share": share})})


def find_config(explicit: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: `explicit`, else `BULKOPS_CONFIG`, else `./bulkops.toml`. TenantError: none."""
    if explicit is not None:
        path, hint = explicit, "Check the path after --config"
    elif environ.get("BULKOPS_CONFIG"):
        path, hint = Path(environ["BULKOPS_CONFIG"]), "Check the variable BULKOPS_CONFIG"
    else:
        path, hint = (
            Path(CONFIG_NAME),
            "`bulkops init DIR` writes one; --config FILE or BULKOPS_CONFIG name another",
        )
    if not path.is_file():
        raise TenantError(f"{path}: there is no such file. {hint}")
    return path


def load_tenants(path: Path) -> dict[str, Tenant]:
    """Every tenant of the file, by name. TenantError holds all that is wrong with it, with its lines."""
    text = _read(path)
    data = _parse(text, path)
    lines = _lines_of_keys(text)
    faults = [_unknown_key(path, lines, (key,), ["tenants"]) for key in data if key != "tenants"]
    tables = data.get("tenants")
    tenants: dict[str, Tenant] = {}
    if not isinstance(tables, dict) or not tables:
        hint = "Write a table [tenants.NAME] with username, secret and integration_code"
        faults.append(Fault(where=str(path), message="there is no tenant", hint=hint))
        tables = {}
    for name, table in tables.items():
        where = ("tenants", name)
        if not isinstance(table, dict):
            hint = f"Write [tenants.{name}] and its keys below"
            faults.append(Fault(where=_place(path, lines, where), message="a tenant is a table", hint=hint))
            continue
        try:
            tenants[name] = Tenant.model_validate(
                {**table, "name": name}, context={"folder": path.absolute().parent}
            )
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            faults.extend(_fault(path, lines, where, detail) for detail in details)
        if "name" in table:
            faults.append(_unknown_key(path, lines, (*where, "name"), _keys_of(where)))
    if faults:
        raise TenantError("\n".join(str(fault) for fault in faults))
    return tenants


def load_tenant(name: str | None, config: Path | None) -> Tenant:
    """The tenant of that name from the configuration (`find_config`); without a name the only one."""
    path = find_config(config)
    return pick_tenant(load_tenants(path), name, path)


def pick_tenant(tenants: Mapping[str, Tenant], name: str | None, path: Path) -> Tenant:
    """The tenant of that name; without a name the only one. TenantError lists those the file knows."""
    known = ", ".join(tenants)
    if name is None:
        if len(tenants) == 1:
            return next(iter(tenants.values()))
        raise TenantError(f"{path}: it has several tenants ({known}). Say which with --tenant")
    if name not in tenants:
        lost = f"{path}: there is no tenant {name!r}{_meant(name, tenants)}"
        raise TenantError(sentences(lost, f"It knows: {known}"))
    return tenants[name]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TenantError(f"{path}: it is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    except OSError as error:
        raise TenantError(f"{path}: it cannot be read: {error.strerror}") from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)| \(at end of document\)", str(error))
        line = found[1] if found and found[1] else str(text.count("\n") + 1)
        what = str(error)[: found.start()] if found else str(error)
        fault = Fault(
            where=f"{path}:{line}", message=f"this is not TOML: {what}", hint="Texts stand in quotes"
        )
        raise TenantError(str(fault)) from None


_NAME = r"(?:[\w-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_TABLE = re.compile(rf"\s*\[\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\s*(?:#.*)?$")


def _lines_of_keys(text: str) -> dict[tuple[str, ...], int]:
    """Where each key stands: the TOML reader of the standard library does not say."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _split(header["key"])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_split(key["key"])), number)
    return lines


def _split(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_NAME, key))


def _place(path: Path, lines: Mapping[tuple[str, ...], int], key: tuple[str, ...]) -> str:
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return f"{path}:{lines[key[:length]]}"
    return str(path)


def _fault(
    path: Path, lines: Mapping[tuple[str, ...], int], tenant: tuple[str, ...], detail: ErrorDetails
) -> Fault:
    key = (*tenant, *(str(part) for part in detail["loc"]))
    where = _place(path, lines, key)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, lines, key, _keys_of(key[:-1]))
    if detail["type"] == "missing":
        return Fault(where=where, message=f"tenant {tenant[1]} has no {key[-1]}", hint=f'Add {key[-1]} = "…"')
    said = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return Fault(where=where, message=said if key == tenant else f"{key[-1]} {said}")


def _unknown_key(
    path: Path, lines: Mapping[tuple[str, ...], int], key: tuple[str, ...], known: list[str]
) -> Fault:
    message = f"unknown key {key[-1]!r}{_meant(key[-1], known)}"
    return Fault(where=_place(path, lines, key), message=message, hint=f"Known: {', '.join(known)}")


def _keys_of(table: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Budget if table[-1] == "budget" and len(table) == 3 else Tenant
    return [name for name in model.model_fields if name != "name"]


def _meant(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f", did you mean {near!r}?" if near else ""
