"""Flows: where rails, the ledger and products meet; each flow is one state machine."""
