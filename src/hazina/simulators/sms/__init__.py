"""A stand-alone SMS gateway shaped like Africa's Talking, with an inbox one can read.

Owns its wire (their form, their JSON, their status codes), its inbox (SQLite) and its faults. It
imports nothing of the house and shares nothing with it but HTTP. No SMS ever leaves it.
"""

from hazina.simulators.sms.app import SmsConfig, create_app

__all__ = ["SmsConfig", "create_app"]
