"""The working tree around the running code, and programs run in it."""

import os
import subprocess
import sys
from pathlib import Path

import hazina

ROOT = Path(hazina.__file__).parents[2]


def tool(name: str) -> str:
    """The path of a program that was installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def run(*command: str) -> int:
    """This will run one program at the root of the tree, its output passed through."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - ours


def become(*command: str) -> None:
    """This will replace this process by one program at the root of the tree."""
    os.chdir(ROOT)
    os.execv(command[0], command)  # noqa: S606 - ours
