"""Charges of projects, tickets, contracts, change orders: as what they are charged, when they are final."""

from __future__ import annotations

from bulkops.simulator.rules.base import Rules, changed, dangling, picked, read_only, row_of
from bulkops.simulator.store import Row, Store


class ChargeRules(Rules):
    """DOC (ProjectChargesEntity.htm, TicketChargesEntity.htm)."""

    def create(self, store: Store, row: Row, actor: int) -> list[str]:
        errors = read_only(store, row.get("projectID")) + _material(store, row)
        _prices(store, row, row)
        row["isBilled"] = False
        row["billableAmount"] = _amount(row)
        return errors

    def update(self, store: Store, row: Row, changes: Row, actor: int) -> list[str]:
        errors = read_only(store, row.get("projectID")) + _billed(row)
        if changed(row, changes, "billingCodeID"):
            errors += _material(store, changes)
            _prices(store, changes, changes)
        if changed(row, changes, "unitQuantity", "unitPrice"):
            changes["billableAmount"] = _amount({**row, **changes})
        return errors

    def delete(self, store: Store, row: Row) -> list[str]:
        return read_only(store, row.get("projectID")) + _billed(row)


def _billed(row: Row) -> list[str]:
    return ["A charge that is billed cannot be changed or deleted."] if row.get("isBilled") else []


def _material(store: Store, row: Row) -> list[str]:
    """The billing code is a material cost code; the number behind that label is the tenant's."""
    chosen = row.get("billingCodeID")
    code = row_of(store, "BillingCodes", chosen)
    if code is None or code.get("useType") == picked(store, "BillingCodes", "useType", "Material Cost"):
        return []
    return [dangling("billingCodeID", "AllocationCode")]


def _prices(store: Store, row: Row, changes: Row) -> None:
    """Cost and price come from the billing code where they are not given."""
    code = row_of(store, "BillingCodes", row.get("billingCodeID")) or {}
    for name in ("unitCost", "unitPrice"):
        if changes.get(name) is None and code.get(name) is not None:
            changes[name] = code[name]


def _amount(row: Row) -> float:
    return float(row.get("unitQuantity") or 0) * float(row.get("unitPrice") or 0)
