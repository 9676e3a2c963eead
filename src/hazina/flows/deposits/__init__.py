"""Deposits: shillings coming in by an M-Pesa prompt, on their own or to pay for something."""
