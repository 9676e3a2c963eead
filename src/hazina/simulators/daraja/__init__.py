"""A stand-alone simulator of Safaricom's Daraja (M-Pesa Kenya) with handsets one can hold.

Owns its books (SQLite), its wire (exact payloads), its handsets and its faults. It imports nothing
of the house and shares nothing with it but HTTP.
"""

from hazina.simulators.daraja.app import create_app
from hazina.simulators.daraja.config import Settings, SimConfig

__all__ = ["Settings", "SimConfig", "create_app"]
