"""The tenants file: is it there and right, are the secrets where it says, and who else can read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bulkops.doctor.finding import Finding, ok, problem, warning
from bulkops.errors import TenantError
from bulkops.tenant import Budget, Tenant, find_config, load_tenants, pick_tenant
from bulkops.wording import counted

SECRETS = ("secret", "integration_code")
SERVER_THREADS = 3  # per entity and integration code (ThreadLimiting.htm)


def examine_config(config: Path | None, name: str | None) -> tuple[list[Finding], list[Tenant], Path | None]:
    """What is to be said of the file, and the tenants to look at: the one of that name, or all."""
    try:
        path = find_config(config)
        tenants = load_tenants(path)
        chosen = list(tenants.values()) if name is None else [pick_tenant(tenants, name, path)]
    except TenantError as error:
        return [problem("config", line) for line in str(error).splitlines()], [], None
    known = f"{path}: {counted(len(tenants), 'tenant')} ({', '.join(tenants)})"
    return [ok("config", known)], chosen, path


def examine_secrets(tenant: Tenant, config: Path) -> list[Finding]:
    """Whether each secret is there. Shows where it is kept, never what it is."""
    findings = []
    for key in SECRETS:
        secret = getattr(tenant, key)
        try:
            secret.reveal(tenant.username)
        except TenantError as error:
            findings.append(problem("secrets", f"{key}: {error}"))
        else:
            findings.append(ok("secrets", f"{key} is there ({secret.reference})"))
    files = dict.fromkeys(filter(None, (_file_of(tenant, key, config) for key in SECRETS)))
    return [*findings, *(finding for file in files for finding in _exposed(file))]


def _file_of(tenant: Tenant, key: str, config: Path) -> Path | None:
    secret = getattr(tenant, key)
    return config if secret.is_literal else secret.file


def _exposed(file: Path) -> Iterator[Finding]:
    """A warning where everybody on this machine can read the file; Windows says that in another way."""
    if os.name == "nt":
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        return  # said already: the secret could not be read
    if mode & stat.S_IROTH:
        message = f"{file} holds a secret and everybody on this machine can read it"
        yield warning("secrets", message, f"chmod 600 {file}")


def examine_budget(budget: Budget) -> list[Finding]:
    """The settings that need no server to be judged."""
    children = {
        "both": "a child's path takes a slot of its parent too",
        "child": "a child's path takes no slot of its parent",
        "parent": "a child's path takes a slot of its parent only",
    }[budget.child_counts]
    message = (
        f"{budget.per_entity} of {SERVER_THREADS} calls at once per entity, a slot rests "
        f"{budget.release_ms:g} ms, {children}"
    )
    if budget.per_entity < SERVER_THREADS:
        return [ok("threads", message)]
    hint = (
        "The server frees a slot a moment after its answer and counts all programs with this integration "
        "code together: per_entity = 2 avoids refusals"
    )
    return [warning("threads", message, hint)]
