"""Withdrawals: shillings going out to a phone by M-Pesa, of the customer's own or of a sale."""
