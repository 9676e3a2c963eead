"""Parts that move by themselves."""

from hazina.desk.webkit.sse import Look, event_text
from tests.web.conftest import Browser


async def test_only_changes_are_told_and_the_last_one_ends_it(wallet: Browser) -> None:
    answer = await wallet.http.get("/sample/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [block for block in answer.text.split("\n\n") if "event:" in block]
    kinds = [line for block in events for line in block.splitlines() if line.startswith("event")]
    assert kinds == ["event: change", "event: change", "event: final"]
    assert "data: second\ndata: line" in events[1]


async def test_a_browser_that_comes_back_is_not_told_again(wallet: Browser) -> None:
    seen = Look("first", final=False).mark
    answer = await wallet.http.get("/sample/live", headers={"last-event-id": seen})
    assert "data: first" not in answer.text
    assert "data: last" in answer.text


def test_a_line_cannot_forge_a_field() -> None:
    text = event_text("change", "a\r\nevent: final\rdata: x", "m")
    assert [line for line in text.splitlines() if line.startswith("event:")] == ["event: change"]
