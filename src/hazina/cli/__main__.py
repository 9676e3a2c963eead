"""`python -m hazina.cli`, which is what the launcher runs."""

import gc

# By default Python's collector looks through what is new at every 700th object. Loading makes
# hundreds of thousands that stay: a fifth of a process's start, and a twentieth of a request.
gc.set_threshold(20_000, 20, 50)

from hazina.cli.main import app  # noqa: E402 - after the collector was told

app(prog_name="hazina")
