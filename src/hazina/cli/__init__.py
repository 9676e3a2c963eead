"""The command line: one file per command, each with a ``register(app)``; main.py lists them."""
