"""Ids: unique and rising whatever the threads do, and strictly read."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id, parse_id, wire_id


class TestANewId:
    def test_sorts_after_every_earlier_one(self) -> None:
        ids = [new_id() for _ in range(20_000)]
        assert all(earlier < later for earlier, later in pairwise(ids))
        assert sorted(ids, key=str) == ids

    def test_is_a_uuid_of_version_7(self) -> None:
        for _ in range(100):
            made = new_id()
            assert (made.version, made.variant) == (7, "specified in RFC 4122")

    def test_is_made_once_whatever_the_threads_do(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda _: [new_id() for _ in range(2_000)], range(8)))
        assert all(part == sorted(part) for part in parts)
        assert len({made for part in parts for made in part}) == 16_000


class TestAnIdOnTheWire:
    @given(st.uuids())
    def test_comes_back(self, value: UUID) -> None:
        assert parse_id("dep", wire_id("dep", value)) == value
        assert parse_id("dep", str(value)) == value
        assert parse_id("dep", value.hex) == value

    @given(st.text(max_size=45))
    def test_is_read_in_no_other_form(self, text: str) -> None:
        try:
            value = parse_id("dep", text)
        except NotFound:
            return
        bare = text.removeprefix("dep_").lower()
        assert bare in (str(value), value.hex)

    @pytest.mark.parametrize(
        "text",
        ["", "dep_", "wdr_" + "0" * 32, "dep_" + "0" * 31, "dep_" + "g" * 32, "{" + "0" * 32 + "}",
         "urn:uuid:" + "0" * 32, "0x" + "0" * 30, "0_" * 15 + "00", "٠" * 32, "-" * 4 + "0" * 32,
         "dep_dep_" + "0" * 32, " " + "0" * 31, "0" * 32 + "\n"],
    )  # fmt: skip
    def test_is_otherwise_simply_not_there(self, text: str) -> None:
        with pytest.raises(NotFound):
            parse_id("dep", text)
