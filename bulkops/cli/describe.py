"""`bulkops describe [ENTITY]`: what there is, what can be done with it, what a job can name."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from bulkops.cli.app import ConfigOption, UsageError, app, config_of, out, run_async
from bulkops.errors import RefusedError
from bulkops.schema import Entity, Field


@app.command()
def describe(
    name: Annotated[
        str | None, typer.Argument(metavar="ENTITY", help="An entity; none: all of them.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Ask this tenant, its picklists included.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """List the entities, or one with its fields and what they take."""
    from bulkops.targets.autotask.catalog import load_catalog

    catalog = load_catalog()
    if name is None:
        if tenant is not None:
            raise UsageError("--tenant goes with an ENTITY")
        _print_entities(list(catalog.entities.values()))
        return
    entity = catalog.find(name)
    if entity is None:
        close = catalog.suggest(name)
        hint = f" Did you mean {' or '.join(close)}?" if close else " `bulkops describe` lists them."
        raise RefusedError(f"Autotask has no entity {name!r}.{hint}")
    if tenant is not None:
        from bulkops.tenant import load_tenant

        entity = run_async(partial(_ask, load_tenant(tenant, config_of(config)), entity.name))
    _print_entity(entity)


async def _ask(tenant: object, name: str) -> Entity:
    from bulkops.targets.autotask import connect
    from bulkops.tenant import Tenant

    assert isinstance(tenant, Tenant)
    async with connect(tenant) as target:
        return await target.describe(name)


def _print_entities(entities: list[Entity]) -> None:
    rows: list[tuple[str, ...]] = [
        ("entity", "create", "update", "delete", "query", "fields", "written through")
    ]
    rows += [
        (
            entity.name,
            *("yes" if action in entity.can else "-" for action in ("create", "update", "delete")),
            "yes" if entity.is_queryable else "-",
            str(len(entity.fields) or "?"),
            _route(entity),
        )
        for entity in entities
    ]
    _print_table(rows)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as they must be, names never cut; the last one wraps where a terminal ends."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    indent = sum(widths) + 2 * len(widths)
    room = max(30, out.width - indent) if out.is_terminal else sys.maxsize
    for number, row in enumerate(rows):
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        for line in textwrap.wrap(row[-1], room, break_long_words=False) or [""]:
            style = "bold" if number == 0 else None
            out.print(f"{start}{line}".rstrip(), markup=False, style=style, no_wrap=True)
            start = " " * indent


def _route(entity: Entity) -> str:
    is_child = any("child" in where for where in entity.can.values())
    return (
        f"{entity.parent.path[0]}/{{id}}/{entity.parent.path[1]}"
        if entity.parent and is_child
        else entity.name
    )


def _print_entity(entity: Entity) -> None:
    source = "as the tenant says now" if entity.is_live else "as shipped; --tenant T asks the tenant"
    out.print(f"{entity.name} (older API: {entity.singular}), {source}", markup=False)
    actions = [action for action in ("create", "update", "delete") if action in entity.can]
    out.print(
        f"can: {', '.join(actions) or 'nothing but read'}{', query' if entity.is_queryable else ', no query'}"
    )
    if entity.parent:
        out.print(
            f"parent: {entity.parent.entity} (field {entity.parent.field}), "
            f"path {entity.parent.path[0]}/{{id}}/{entity.parent.path[1]}",
            markup=False,
        )
    for title, names in (
        ("required on create", [f.name for f in entity.fields.values() if f.is_required and f.name != "id"]),
        ("cannot be queried", [f.name for f in entity.fields.values() if not f.is_queryable]),
        ("set on create, fixed then", [f.name for f in entity.fields.values() if _is_fixed(f)]),
    ):
        if names:
            out.print(f"{title}: {', '.join(names)}", markup=False)
    if entity.has_udfs:
        out.print("user-defined fields: yes" + ("" if entity.is_live else " (the tenant knows which)"))
    out.print()
    rows = [("field", "type", "to know")]
    rows += [
        (
            field.name,
            _type(field),
            "; ".join(filter(None, (", ".join(_flags(field)), _values(field), _older(field)))),
        )
        for field in entity.fields.values()
    ]
    _print_table(rows)


def _is_fixed(field: Field) -> bool:
    return field.name != "id" and (field.is_fixed or (field.is_required and field.is_read_only))


def _type(field: Field) -> str:
    return f"{field.type.value}({field.length})" if field.length else field.type.value


def _older(field: Field) -> str:
    return f"older API: {field.soap_name}" if field.soap_name else ""


def _flags(field: Field) -> list[str]:
    flags = {
        "required": field.is_required and field.name != "id",
        "read-only": field.is_read_only,
        "not queryable": not field.is_queryable,
        "date only": field.is_date_only,
        "rich text": field.is_rich_text,
    }
    return [name for name, is_set in flags.items() if is_set]


def _values(field: Field) -> str:
    if field.reference:
        return f"→ {field.reference}"
    if field.picklist is None:
        return ""
    if not field.picklist:
        return "picklist of the tenant"
    return ", ".join(f"{v.value} {v.label}{'' if v.is_active else ' (inactive)'}" for v in field.picklist)
