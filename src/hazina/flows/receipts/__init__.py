"""Receipts: payments to the paybill that came unasked, and what M-Pesa's own lists say of them."""
