"""Where the parts become a running house: registry, wiring, supervisor, embedded PostgreSQL."""
