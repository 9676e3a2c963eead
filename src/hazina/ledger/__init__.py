"""The ledger: accounts, transfers, holds, proof. The only door to money.

Invariant: nothing outside this package reads or writes a table of schema ``ledger``.
"""
