"""Verified copies of the house, restoring one into recovery, and the drill that tries both."""
