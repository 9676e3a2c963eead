"""``next=`` leads to a path of ours or nowhere."""

import pytest

from hazina.desk.webkit.links import safe_next


@pytest.mark.parametrize("good", ["/", "/gold/buy", "/gold/buy?grams=1&x=%2F", "/a#b", "/a/"])
def test_paths_of_ours_are_kept(good: str) -> None:
    assert safe_next(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        None,
        "/a\r\nSet-Cookie: x",
        "/a b",
        "/\tevil",
        "\\/evil",
        "/ä",
        "/login",
        "/login?next=/",
        "/logout",
        "/a\\b",
        "/" + "a" * 600,
    ],
)
def test_everything_else_leads_to_the_front_page(bad: object) -> None:
    assert safe_next(bad) == "/"
