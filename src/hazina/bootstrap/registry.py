"""Which slices this house has. Adding a product or a rail is one folder and one line here."""

from functools import cache
from importlib import import_module

from hazina.infra.house import Manifest

INFRA = ["hazina.infra"]
LEDGER = ["hazina.ledger"]
IDENTITY = ["hazina.identity"]
RAILS = ["hazina.rails.mpesa"]
DESK = ["hazina.desk"]
FLOWS = [
    "hazina.flows.treasury", "hazina.flows.deposits", "hazina.flows.withdrawals",
    "hazina.flows.receipts",
]  # fmt: skip
PRODUCTS = ["hazina.products.gold"]


@cache
def manifests() -> tuple[Manifest, ...]:
    """Every slice's manifest, lower layers first: the order in which they are built."""
    names = [*INFRA, *LEDGER, *IDENTITY, *RAILS, *DESK, *FLOWS, *PRODUCTS]
    found = tuple(import_module(f"{name}.manifest").MANIFEST for name in names)
    assert all(isinstance(manifest, Manifest) for manifest in found)
    return found
