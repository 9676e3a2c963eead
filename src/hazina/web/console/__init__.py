"""The operators' shell: its own app, its own cookie, no JSON API."""
