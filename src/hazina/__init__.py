"""Hazina: a self-hosted wallet platform on one provable ledger."""

__version__ = "0.1.0"
