"""One line a case, one thing changed at a time: which code, and which comes first.

A case is a sequence of batches divided by ``;``. In a batch, transfers are divided by ``,`` and a
bracket is a group. The codes expected of the last batch stand behind ``=>``.

    A>B 5        move five cents from A to B       A~B 5        hold them
    post h 2     post two cents of hold h          post! h 2    and keep the rest
    void h       let go of hold h                  x: …         gives an id a name
    A>>B 5       move what is there, at most five cents
    x@k=w …      with another code, w for withdrawal, c for one that may be back-dated; likewise
                 @until, @about, @eff (when it counts), @if and @ifc (the versions of the debit and
                 the credit account), @ref, @rev, @fix (what it refunds, reverses, corrects)
    freeze A, close A                              what the owner does by hand

A and B have 100 cents each, C is empty, F frozen and D closed (with 100 each), X holds grams, T
is a toy (paper) account with 100, W is the outside world, V its grams, U its toy counterpart.
The period before 1995 is closed; ``ancient`` lies in it, ``past`` does not.
``max`` is the largest amount there is.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Asset, AssetClass, Money
from hazina.ledger.chart import AccountRef, Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, ResultCode, Terms, Transfer, TransferKind, linked
from tests.ledger.books import OUTSIDE, Books

TOY = Asset("TOY", 2, AssetClass.PAPER)
BIG = 10**38 - 1
PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)
TIMES = {"past": PAST, "future": FUTURE, "ancient": datetime(1990, 1, 1, tzinfo=UTC)}

TABLE = """
# Booked, and again
A>B 1                                      => created
x: A>B 1; x: A>B 1                         => exists
x: A>B 1, x: A>B 1                         => created, exists
x: A~B 9; x: A~B 9                         => exists
h: A~B 9; x: post h; x: post h             => exists
h: A~B 9; x: post! h 4; x: post! h 4       => exists
h: A~B 9; x: void h; x: void h             => exists
h: A~B 9, post! h 4, post h                => created, created, created
[A>B 1, B>C 101]                           => created, created
x: A>B 1; freeze A, x: A>B 1               => exists
h: A~B 9; freeze A, post h                 => created
h: A~B 9; freeze A, void h                 => created
h@until=past: A~B 9; void h                => created
A>F 1                                      => created
W>A 1                                      => created

# A used id: the first field that differs, in order
x: A>B 1; x: A~B 1                         => exists_with_different_kind
x: A>B 1; x: A~C 2                         => exists_with_different_kind
h: A~B 9; x: post h; x: void h             => exists_with_different_kind
x: A>B 1; x: C>B 1                         => exists_with_different_accounts
x: A>B 1; x: A>C 1                         => exists_with_different_accounts
x: A>B 1; x: A>C 2                         => exists_with_different_accounts
x: A>B 1; x: A>B 2                         => exists_with_different_amount
x: A>B 1; x: A>B 0                         => exists_with_different_amount
x: A>B 1; x@k=w: A>B 2                     => exists_with_different_amount
h: A~B 9; x: post h 4; x: post h           => exists_with_different_amount
h: A~B 9; x: post h 4; x: post h 4g        => exists_with_different_amount
x: A>B 1; x@k=w: A>B 1                     => exists_with_different_code
x: A>B 1; x@k=w@about=2: A>B 1             => exists_with_different_code
h: A~B 9; g: A~B 9; x: post h; x: post g   => exists_with_different_pending
h: A~B 9; g: A~C 9; x: post h; x: post g   => exists_with_different_pending
h: A~B 9; x: post! h 4; x: post h 4        => exists_with_different_pending
x: A~B 1; x@until=future: A~B 1            => exists_with_different_expiry
x@until=past: A~B 1; x@until=future@about=2: A~B 1 => exists_with_different_expiry
x: A>B 1; [x: A>B 1]                       => exists_with_different_group
x: A>B 1; [x@about=2: A>B 1]               => exists_with_different_group
x: A>B 1; x@about=2: A>B 1                 => exists_with_different_reference
x: A>B 1, x: A>B 2                         => created, exists_with_different_amount
x: A>B 9; x@about=2@fix=z: A>B 9           => exists_with_different_reference
x: A>B 9; r@ref=x: B>A 4; r: B>A 4         => exists_with_different_origin
x: A>B 9; r@rev=x: B>A 9; r@ref=x: B>A 9   => exists_with_different_origin
x: A>B 9; x@fix=z: A>>B 9                  => exists_with_different_origin
x: A>B 9, x@fix=z: A>B 9                   => created, exists_with_different_origin
x: A>B 9; x: A>>B 9                        => exists_with_different_condition
x@if=1: A>B 9; x@if=2: A>B 9               => exists_with_different_condition
x@k=c: W>A 9; x@k=c@ifc=1@eff=past: W>A 9  => exists_with_different_condition
x@if=1: A>B 9, x: A>B 9                    => created, exists_with_different_condition
x@k=c: W>A 9; x@k=c@eff=past: W>A 9        => exists_with_different_effective_at
x@k=c: W>A 9, x@k=c@eff=past: W>A 9        => created, exists_with_different_effective_at
x@k=c@eff=past: W>A 9; x@k=c@eff=past: W>A 9 => exists
x@if=1: A>B 1; x@if=1: A>B 1               => exists
x: A>>B 500; x: A>>B 500                   => exists

# What can never be
A>B 0                                      => amount_not_positive
A>B -1                                     => amount_not_positive
A>A 0                                      => amount_not_positive
h: A~B 9; post h 0                         => amount_not_positive
post nothing 0                             => amount_not_positive
A>B max+1                                  => amount_too_large
A>A max+1                                  => amount_too_large
post nothing max+1                         => amount_too_large
post nothing                               => pending_not_found
void nothing                               => pending_not_found
x: A>B 1; post x                           => pending_not_found
post h, h: A~B 9                           => pending_not_found, created
h: A~A 9; post h                           => pending_not_found
r@ref=nothing: A>A 1                       => original_not_found
r@rev=nothing: A>N 1                       => original_not_found
h: A~B 9; r@ref=h: B>A 9                   => original_not_found
r@ref=x: B>A 1, x: A>B 1                   => original_not_found, created
[x: A>B 1, C>B 9], r@ref=x: B>A 1          => linked_failed, insufficient_funds, original_not_found
N>B 1                                      => account_not_found
A>N 1                                      => account_not_found
N>N 1                                      => account_not_found
A>A 1                                      => same_account
D>D 1                                      => same_account
h: A~B 9; post h 1g                        => assets_differ
h: A~B 9; void h; post h 1g                => assets_differ
x: A>B 9; r@ref=x: X>V 1                   => assets_differ
[A>B 1, T>U 1]                             => linked_failed, classes_differ
[A>B 1, T>U 101]                           => linked_failed, classes_differ
[A>B 1, V>X 1]                             => created, created

# Holds that are over
h: A~B 9; post h; post h                   => hold_posted
h: A~B 9; post h; void h                   => hold_posted
h: A~B 9; post h 4; post h 1               => hold_posted
h: A~B 9; post! h 9; post h                => hold_posted
h: A~B 9; post h; post h 10                => hold_posted
h: A~B 9; void h; void h                   => hold_voided
h: A~B 9; void h; post h                   => hold_voided
h@until=past: A~B 9; void h; post h        => hold_voided
h@until=past: A~B 9; post h                => hold_expired
h@until=past: A~B 9; post h 10             => hold_expired
h@until=future: A~B 9; post h 10           => exceeds_hold
h: A~B 9; post! h 4; post! h 6             => exceeds_hold

# When it counts
x@eff=past: D>B 1                          => not_backdatable
x@eff=future: A>B 1                        => not_backdatable
x@eff=ancient: A>B 1                       => not_backdatable
x@k=c@eff=future: D>A 1                    => effective_in_future
x@k=c@eff=ancient: D>A 1                   => period_closed
x@k=c@eff=past: D>A 1                      => account_closed
x@k=c@eff=past: W>A 1                      => created

# Giving back
x: A>B 9; r@rev=x: B>A 9                   => created
x: A>B 9; r@rev=x: B>A 9; s@rev=x: B>A 8   => already_reversed
x: A>B 9; r@rev=x: B>A 9, s@rev=x: B>A 9   => created, already_reversed
x: A>B 9; r@rev=x: B>A 8                   => not_reversible
x: A>B 9; r@rev=x: C>A 9                   => not_reversible
x: A>B 9; r@rev=x: A>B 9                   => not_reversible
x: A>B 9; r@rev=x: B>A 9; s@rev=r: A>B 9   => not_reversible
x: A>B 9; r@ref=x: B>A 1; s@rev=x: B>A 9   => not_reversible
x: A>B 9; r@ref=x: B>A 1; s@rev=r: A>B 1   => created
x: A>B 9, r@rev=x: B>A 9                   => created, not_reversible
[x: A>B 9, A>C 9]; r@rev=x: B>A 9          => not_reversible
[x: A>B 9, y: A>C 9]; r@rev=y: C>A 9, s@rev=x: B>A 9 => not_reversible, not_reversible
[x: A>B 9, y: A>C 9]; [r@rev=y: C>A 9, s@rev=x: B>A 9] => created, created
[x: A>B 9, y: A>C 9]; [y@rev=x: B>A 9, C>B 1] => exists_with_different_accounts, linked_failed
[x: A>B 9, h: A~C 1]; r@rev=x: B>A 9       => not_reversible
[x: A>B 9, h: A~C 1]; void h; r@rev=x: B>A 9 => created
[x: A>B 9, h: A~C 1]; post h; r@rev=x: B>A 9 => created
h: A~B 9; x: post h; r@rev=x: B>A 9        => created
x: A>C 9; C>B 9; r@rev=x: C>A 9            => insufficient_funds
x: A>B 9; freeze B, r@rev=x: B>A 9         => account_frozen
x: A>B 9; r@ref=x: B>A 9                   => created
h: A~B 9; x: post h 4; r@ref=x: B>A 5      => exceeds_original
x: A>B 9; r@ref=x: B>A 5; s@ref=x: B>A 5   => exceeds_original
x: A>B 9; r@ref=x: D>A 10                  => exceeds_original
x: A>B 9, r@ref=x: B>A 5, s@ref=x: B>A 5, B>A 4 => created, created, exceeds_original, created
x: A>B 9; [r@ref=x: B>A 9, C>B 1], s@ref=x: B>A 9 => linked_failed, insufficient_funds, created
x: A>B 9; [r@rev=x: B>A 9, C>B 1], s@rev=x: B>A 9 => linked_failed, insufficient_funds, created
x: A>B 9; r@rev=x: B>A 9; s@ref=x: B>A 1   => exceeds_original
x: A>B 9; r@ref=x: B>A 5; s@ref=r: D>A 1   => not_refundable
x: A>B 9; r@rev=x: B>A 9; s@ref=r: A>B 90  => not_refundable

# What the accounts say
D>B 1                                      => account_closed
A>D 1                                      => account_closed
F>D 1                                      => account_closed
A~D 101                                    => account_closed
F>B 1                                      => account_frozen
F>B 101                                    => account_frozen
F~B 1                                      => account_frozen
A>B 101                                    => insufficient_funds
A~B 101                                    => insufficient_funds
A~B 60; A>C 41                             => insufficient_funds
C>A max                                    => insufficient_funds
x@if=1: A>B 1, y@if=1: A>B 1               => created, version_moved
x@ifc=1: A>B 1, y@ifc=1: C>B 1             => created, version_moved
x@if=0: F>B 1                              => account_frozen
x@if=1: C>>B 5                             => version_moved
x@if=0: A>B 101                            => version_moved
A>>B 500                                   => created
W>>A 5                                     => created
C>>B 5                                     => nothing_to_move
A~B 100; A>>B 5                            => nothing_to_move
[A>>B 500, A>>B 1]                         => linked_failed, nothing_to_move
F>>B 5                                     => account_frozen
W>A max                                    => total_too_large
W>C max; W>C 1                             => total_too_large
W~C max; W>C 1                             => total_too_large
W>C max; A>C 1                             => total_too_large
W>C max; C>B 1                             => created

# Refused once, refused for ever
x: A>B 101; W>A 500; x: A>B 101            => insufficient_funds
x: A>B 101, x: A>B 101                     => insufficient_funds, insufficient_funds
x: A>B 101; x: A>B 1                       => exists_with_different_amount
x: post h; h: A~B 9; x: post h             => pending_not_found
x: F>B 1; open F, x: F>B 1                 => account_frozen
x: C>>B 5; W>C 9; x: C>>B 5                => nothing_to_move
x@if=2: A>B 1; W>A 9; x@if=2: A>B 1        => version_moved
x: A>B 0; x: A>B 1                         => created
x: A>B 0, x: A>B 1, x: A>B 1               => amount_not_positive, created, exists

# Groups
[A>B 1, A>B 100]                           => linked_failed, insufficient_funds
[A>B 101, A>B 1]                           => insufficient_funds, linked_failed
[x: A>B 1, x: A>B 1]                       => created, exists
[x: A>B 1, x: A>B 1, A>B 100]              => linked_failed, linked_failed, insufficient_funds
g[x: A>B 1]; g[x: A>B 1, A>C 1]            => exists, linked_failed
g[x: A>B 1]; g[A>C 1, x: A>B 1]            => linked_failed, exists
g[A>B 1]; g[A>C 1]                         => linked_failed
[h: A~B 9, A>B 100], post h                => linked_failed, insufficient_funds, pending_not_found
g[x: A>B 1, C>B 1], x: A>B 1, x: A>B 1     => linked_failed, insufficient_funds, created, exists
"""

CASES = [
    re.sub(r"\s+", " ", line) for line in TABLE.splitlines() if line and not line.startswith("#")
]
FORM = re.compile(
    r"(?:(?P<id>\w+)(?P<with>(@\w+=\w+)*): )?"
    r"(?:(?P<debit>[A-Z])(?P<how>>>?|~)(?P<credit>[A-Z])|(?P<act>post!?|void) (?P<hold>\w+))"
    r"(?: (?P<amount>-?\w+(\+1)?))?"
)
BY_HAND = re.compile(r"(freeze|close|open) (\w), ")
STATES = {"freeze": "frozen", "close": "closed", "open": "open"}
ABOUT = {"1": new_id(), "2": new_id()}


class Reading:
    """Reads the table's words into transfers on accounts of the case's own."""

    def __init__(self) -> None:
        self.ids: dict[str, UUID] = {}
        kes = {letter: customer(new_id(), KES) for letter in "ABCFDN"}
        self.accounts: dict[str, AccountRef] = {
            **kes,
            "X": customer(new_id(), XAU),
            "T": customer(new_id(), TOY),
            "W": OUTSIDE,
            "V": system(Purpose.VAULT, XAU),
            "U": system(Purpose.CAPITAL, TOY),
        }

    def id(self, name: str | None) -> UUID:
        return new_id() if name is None else self.ids.setdefault(name, new_id())

    def batch(self, text: str) -> list[Transfer]:
        found: list[Transfer] = []
        for group, members, single in re.findall(r"(\w*)\[([^\]]*)\]|([^,\[\]]+)", text):
            if members:
                inside = [self.transfer(part) for part in members.split(", ")]
                found += linked(inside, self.id(f"group {group}") if group else None)
            elif single.strip():
                found.append(self.transfer(single.strip()))
        return found

    def transfer(self, text: str) -> Transfer:
        words = FORM.fullmatch(text)
        assert words is not None, text
        options = dict(pair.split("=") for pair in (words["with"] or "").split("@")[1:])
        made = Transfer(
            TransferKind.VOID_PENDING,
            {"w": Code.WITHDRAWAL, "c": Code.CAPITAL_IN}.get(options.get("k", ""), Code.DEPOSIT),
            Reference("test", ABOUT[options.get("about", "1")]),
            self.id(words["id"]),
            expires_at=TIMES.get(options.get("until", "")),
            terms=self.terms(options, up_to=words["how"] == ">>"),
        )
        if words["act"]:
            posts = words["act"] != "void"
            return replace(
                made,
                kind=TransferKind.POST_PENDING if posts else made.kind,
                pending_id=self.id(words["hold"]),
                amount=amount(words["amount"], KES) if words["amount"] else None,
                keep_rest=words["act"] == "post!",
            )
        debit, credit = self.accounts[words["debit"]], self.accounts[words["credit"]]
        kind = TransferKind.PENDING if words["how"] == "~" else TransferKind.POST
        units = amount(words["amount"], debit.asset)
        return replace(made, kind=kind, debit=debit, credit=credit, amount=units)

    def terms(self, options: dict[str, str], *, up_to: bool) -> Terms:
        named = {k: self.id(options[k]) for k in ("ref", "rev", "fix") if k in options}
        versions = {k: int(options[k]) for k in ("if", "ifc") if k in options}
        return Terms(
            up_to, named.get("ref"), named.get("rev"), named.get("fix"),
            TIMES.get(options.get("eff", "")), versions.get("if"), versions.get("ifc"),
        )  # fmt: skip


def amount(text: str, asset: Asset) -> Money:
    if text.endswith("g"):  # grams, where shillings are meant
        return XAU.units(int(text.removesuffix("g")))
    words = {"max": BIG, "max+1": BIG + 1}
    return asset.units(words[text] if text in words else int(text))


class Case(Books):
    """The accounts of one line of the table, as its heading promises."""

    def __init__(self, db: Database, owner: Database) -> None:
        super().__init__(db)
        self.owner, self.reading = owner, Reading()

    async def prepare(self) -> None:
        await self.db.run(lambda tx: self.ledger.ensure_assets(tx, [TOY]))
        funds = ["W>A 100", "W>B 100", "W>F 100", "W>D 100", "V>X 100", "U>T 100"]
        assert set(await self.codes(*map(self.reading.transfer, funds))) == {"created"}
        await self.db.fetchval(
            "SELECT ledger.close_period('1995-01-01T00:00Z', 'operator:1', 'long over')"
        )
        await self.set_state("F", "frozen")
        await self.set_state("D", "closed")
        # As if the account had vanished: the door itself always opens what is not there.
        self.ledger._keys[self.reading.accounts["N"]] = 2**62

    async def set_state(self, letter: str, state: str) -> None:
        async with self.owner.transaction() as tx:
            assert await tx.execute(
                "UPDATE ledger.account SET state = $1 WHERE owner_id = $2",
                state, self.reading.accounts[letter].owner,
            )  # fmt: skip

    async def play(self, text: str) -> list[str]:
        codes: list[str] = []
        for step in text.split("; "):
            for verb, letter in BY_HAND.findall(step):
                await self.set_state(letter, STATES[verb])
            codes = await self.codes(*self.reading.batch(BY_HAND.sub("", step)))
        return codes


class TestTheFirstThingThatIsWrong:
    @pytest.mark.parametrize("line", CASES)
    async def test_is_what_is_answered(self, db: Database, owner_db: Database, line: str) -> None:
        text, _, expected = line.partition(" => ")
        case = Case(db, owner_db)
        await case.prepare()
        assert await case.play(text) == expected.split(", ")

    def test_and_every_code_has_its_line(self) -> None:
        seen = {code for line in CASES for code in line.partition(" => ")[2].split(", ")}
        assert {code.value for code in ResultCode} == seen
