"""Refusals: a stable code, a kind, words for a person; a page and its cursor."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal, all_refusals
from hazina.kernel.page import Page


class QuoteGone(Refusal):
    """For these tests."""

    code = "quote_gone"
    kind = Kind.CONFLICT
    message = "The quote is gone."
    action = "Ask for a new one."


class TestARefusal:
    def test_speaks_its_classs_words(self) -> None:
        refusal = QuoteGone()
        assert (refusal.code, refusal.kind) == ("quote_gone", Kind.CONFLICT)
        assert (refusal.message, refusal.action) == ("The quote is gone.", "Ask for a new one.")
        assert str(refusal) == refusal.message
        assert refusal.details == {}

    def test_can_say_more_without_changing_its_class(self) -> None:
        details = {"left": "1.00"}
        refusal = QuoteGone("It ended at noon.", action="Wait.", details=details)
        assert (refusal.message, refusal.action) == ("It ended at noon.", "Wait.")
        assert (QuoteGone.message, QuoteGone.action) == ("The quote is gone.", "Ask for a new one.")
        details.clear()
        assert refusal.details == {"left": "1.00"}

    def test_names_the_field_that_is_wrong(self) -> None:
        refusal = Invalid.field("phone", "That is not a phone number.")
        assert refusal.details == {"field": "phone"}
        assert refusal.message == "That is not a phone number."

    def test_is_found_by_the_documentation_however_deep(self) -> None:
        class Deeper(QuoteGone):
            """For this test."""

        assert {QuoteGone, Deeper, NotFound, Invalid} <= set(all_refusals())

    def test_has_a_code_that_fits_a_url_and_words_that_end(self) -> None:
        for refusal in all_refusals():
            assert re.fullmatch(r"[a-z][a-z0-9_]*", refusal.code), refusal
            assert refusal.message.endswith((".", "?", "!")), refusal


class TestAPage:
    @given(st.lists(st.integers(), max_size=60, unique=True), st.integers(1, 9))
    def test_after_page_gives_everything_once(self, rows: list[int], limit: int) -> None:
        seen: list[int] = []
        start, cursor = 0, None
        while True:
            page = Page.of(rows[start : start + limit + 1], limit, str)
            seen += page.items
            assert len(page.items) <= limit
            cursor = page.next_cursor
            if cursor is None:
                break
            start = rows.index(int(cursor)) + 1
        assert seen == rows

    @pytest.mark.parametrize(("count", "cursor"), [(0, None), (2, None), (3, "2")])
    def test_has_a_cursor_only_where_there_is_more(self, count: int, cursor: str | None) -> None:
        assert Page.of(list(range(1, count + 1)), 2, str).next_cursor == cursor
