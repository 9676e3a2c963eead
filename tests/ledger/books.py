"""A ledger on a real database, as tests speak of it."""

from datetime import UTC, datetime
from uuid import UUID

from hazina.infra.db import Database
from hazina.kernel.actor import SYSTEM, Actor, ActorKind
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.ledger.accounts import Accounts
from hazina.ledger.chart import AccountRef, Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Result, Transfer, move
from hazina.ledger.service import Ledger

CLERK, CHIEF = Actor(ActorKind.OPERATOR, UUID(int=1)), Actor(ActorKind.OPERATOR, UUID(int=2))
OUTSIDE = system(Purpose.MPESA_COLLECTION)
TEST_REFERENCE = "test"
# Every reference a test makes is alive: for the proof's claim about the owners of holds.
ALL_ALIVE = "SELECT DISTINCT t.reference_id AS id FROM ledger.transfer t"


def kes(text: str) -> Money:
    return KES.money(text)


def about() -> Reference:
    return Reference(TEST_REFERENCE, new_id())


def somebody() -> AccountRef:
    """A customer's shilling account nobody has used yet."""
    return customer(new_id(), KES)


class Books:
    """A ledger and a database, posting one batch in each transaction."""

    source = OUTSIDE

    def __init__(self, db: Database) -> None:
        self.db, self.ledger = db, Ledger()

    async def post(self, *transfers: Transfer) -> list[Result]:
        return await self.db.run(lambda tx: self.ledger.post(tx, transfers, SYSTEM))

    async def codes(self, *transfers: Transfer) -> list[str]:
        return [result.code.value for result in await self.post(*transfers)]

    async def code(self, transfer: Transfer) -> str:
        return (await self.codes(transfer))[0]

    async def funded(self, amount: str) -> AccountRef:
        account = somebody()
        await self.post(move(self.source, account, kes(amount), Code.DEPOSIT, about()))
        return account

    async def state(self, account: AccountRef) -> tuple[str, str, str]:
        """Posted, held, incoming."""
        balance = await self.ledger.balance(self.db, account)
        return balance.posted.decimal, balance.held.decimal, balance.incoming.decimal

    async def posted(self, account: AccountRef) -> str:
        return (await self.state(account))[0]


async def give_credit(books: Books, account: AccountRef, amount: str) -> None:
    """Two persons grant a credit line without an end."""
    await books.db.run(
        lambda tx: Accounts(books.ledger).grant_credit(
            tx, account, kes(amount), starts_at=datetime(2001, 1, 1, tzinfo=UTC), ends_at=None,
            asked_by=CLERK, granted_by=CHIEF, reason="a good customer",
        )
    )  # fmt: skip
