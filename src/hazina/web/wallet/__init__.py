"""The customers' shell: JSON API, callbacks and pages on one app."""
