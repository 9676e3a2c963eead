"""Pure words of the house: money, price, ids, clock, errors, outcomes. Imports nothing of ours."""
