"""`hazina keys` makes, rotates and lists keys, and shows none."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from hazina.cli import keys

app = typer.Typer()
keys.register(app)


def run(path: Path, command: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["keys", command, "--file", str(path)])
    return answer.exit_code, answer.output


class TestKeysCommand:
    def test_it_makes_rotates_and_lists(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        app_code, made = run(path, "generate")
        assert app_code == 0
        assert "k1" in made
        assert run(path, "rotate")[0] == 0
        code, listed = run(path, "list")
        assert code == 0
        assert "k2" in listed
        assert "active" in listed
        secrets = [v["key"] for v in json.loads(path.read_text())["keys"].values()]
        assert all(secret not in made + listed for secret in secrets)

    def test_a_no_is_said_in_words_and_by_the_exit_code(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        assert run(path, "list")[0] == 1
        run(path, "generate")
        before = path.read_bytes()
        assert run(path, "generate")[0] == 1
        assert path.read_bytes() == before
