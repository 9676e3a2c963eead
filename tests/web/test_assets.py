"""Addresses that name their content, and templates that leave nothing to inline."""

import gzip
import re
from pathlib import Path

import pytest

import hazina
from hazina.desk.webkit.assets import STATIC, Assets
from tests.web.conftest import Browser

TEMPLATES = sorted(Path(hazina.__file__).parent.rglob("templates/**/*.html"))
INLINE = re.compile(
    r"\sstyle=|<style|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", re.IGNORECASE
)


def test_an_address_changes_with_its_content(tmp_path: Path) -> None:
    file = tmp_path / "a.css"
    file.write_text("a{}")
    first = Assets(tmp_path).url("a.css")
    file.write_text("b{}")
    assert Assets(tmp_path).url("a.css") != first


def test_the_style_sheet_names_pictures_by_their_hashed_addresses() -> None:
    assets = Assets()
    sheet = assets.find(assets.url("hazina.css"))
    assert sheet is not None
    assert assets.url("guilloche.svg") in sheet.body.decode()
    assert gzip.decompress(sheet.packed) == sheet.body


async def test_assets_may_be_kept_for_ever(wallet: Browser) -> None:
    page = await wallet.http.get("/")
    for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        answer = await wallet.http.get(url)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/static/hazina.css", "/static/../forms.py", "/static/%2e%2e/x"])
async def test_only_addresses_we_gave_out_exist(wallet: Browser, path: str) -> None:
    assert (await wallet.http.get(path)).status_code == 404


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: "/".join(p.parts[-3:]))
def test_no_template_has_anything_inline(template: Path) -> None:
    assert INLINE.search(template.read_text()) is None


def test_our_script_evaluates_no_text() -> None:
    script = (STATIC / "hazina.js").read_text()
    assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML", script)
