"""M-Pesa through Safaricom's Daraja: STK push and query, B2C, transaction status, callbacks."""
