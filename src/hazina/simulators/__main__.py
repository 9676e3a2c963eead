"""`python -m hazina.simulators`: the simulators' own command line."""

from hazina.simulators.cli import app

app(prog_name="python -m hazina.simulators")
