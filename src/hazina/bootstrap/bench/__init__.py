"""How fast the house is, beside what its own database could do: ratios from one run."""
