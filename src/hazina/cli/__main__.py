"""`python -m hazina.cli`, which is what the launcher runs."""

from hazina.cli.main import app

app(prog_name="hazina")
