"""The JSON API: what slices offer as routes, under /api/v1."""
