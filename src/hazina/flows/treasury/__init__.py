"""The house's own money at M-Pesa and the bank: balances, tariffs, and what two persons move."""
