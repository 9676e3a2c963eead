"""The ledger's door for services: transfers in batches, accounts, balances, statements.

A request is answered 200 even where all of its transfers are refused: each has its own result.
Nothing here decides about money; names are turned into accounts and results into JSON.
"""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from hazina.identity.credentials import Scope
from hazina.identity.external import register_owners
from hazina.infra.db import Tx
from hazina.kernel.errors import Invalid, NotFound
from hazina.ledger.batcher import Batcher
from hazina.ledger.chart import AccountRef
from hazina.ledger.external import accounts_of, find_account, find_transfer
from hazina.ledger.history import History, StatementLine
from hazina.ledger.service import Ledger
from hazina.web.internal import wire
from hazina.web.internal.books import results
from hazina.web.internal.description import gives, takes
from hazina.web.internal.door import Caller, signed

M = TypeVar("M", bound=BaseModel)

router = APIRouter(prefix="/internal/ledger", tags=["ledger"])

CanPost = Annotated[Caller, Depends(signed(Scope.POST))]
CanRead = Annotated[Caller, Depends(signed(Scope.READ))]
CanOpen = Annotated[Caller, Depends(signed(Scope.ACCOUNTS))]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=32)]


class NoRunningBalance(Invalid):
    """A statement was asked for of the world: nothing is counted there, line by line."""

    code = "no_running_balance"
    message = "The world outside has no running balance, and so no statement."
    action = "Ask for the statement of an owner's account."


@router.post("/transfers", openapi_extra=takes(wire.TransfersIn), responses=gives(wire.ResultsOut))
async def post_transfers(me: CanPost) -> Response:
    """Book a batch: at most 10,000, in order, each with its own result."""
    asked = _read(wire.TransfersIn, me.body)
    db = me.house.db
    transfers = await me.namespace.transfers(db, asked.transfers)
    found = await me.house.get(Batcher).submit(transfers, me.actor)
    return _answer(wire.ResultsOut(results=await results(db, transfers, found)))


@router.get("/transfers/{transfer_id}", responses=gives(wire.TransferOut))
async def get_transfer(me: CanRead, transfer_id: UUID) -> Response:
    """One booked transfer of this namespace."""
    found = await find_transfer(me.house.db, transfer_id)
    if found is None:
        raise NotFound
    sides = found.sides
    names = await me.namespace.names(me.house.db, [sides.debit, sides.credit])
    if not {sides.debit, sides.credit} <= names.keys():
        raise NotFound
    return _answer(
        wire.TransferOut(
            id=found.id,
            kind=sides.kind,
            debit=names[sides.debit],
            credit=names[sides.credit],
            asset=sides.asset.code,
            amount=found.amount.decimal,
            pending_id=found.pending_id,
            keep_rest=found.keep_rest,
            expires_at=found.expires_at,
            group=found.group,
            reference=found.reference,
            booked_at=found.booked_at,
        )
    )


@router.post("/accounts", openapi_extra=takes(wire.AccountsIn), responses=gives(wire.AccountsOut))
async def open_accounts(me: CanOpen) -> Response:
    """Open those of a list that are not there yet; opening twice is harmless."""
    asked = _read(wire.AccountsIn, me.body).accounts
    refs, now = me.namespace.accounts(asked), me.house.clock.now()
    owners = [one.owner for one in asked if one.owner != wire.WORLD]

    async def opening(tx: Tx) -> None:
        await register_owners(tx, me.namespace.id, owners, now)
        await me.house.get(Ledger).open_accounts(tx, refs)

    await me.house.db.run(opening)
    return await _accounts(me, asked, refs)


@router.post(
    "/accounts/query", openapi_extra=takes(wire.AccountsIn), responses=gives(wire.AccountsOut)
)
async def query_accounts(me: CanRead) -> Response:
    """Which of a list are open, and their ids."""
    asked = _read(wire.AccountsIn, me.body).accounts
    return await _accounts(me, asked, me.namespace.accounts(asked))


@router.post("/balances", openapi_extra=takes(wire.AccountsIn), responses=gives(wire.BalancesOut))
async def query_balances(me: CanRead) -> Response:
    """What each account of a list holds."""
    asked = _read(wire.AccountsIn, me.body).accounts
    refs = me.namespace.accounts(asked)
    found = await accounts_of(me.house.db, refs)
    answers = []
    for one, ref in zip(asked, refs, strict=True):
        account = found.get(ref)
        answer = wire.BalanceOut(owner=one.owner, asset=one.asset, opened=account is not None)
        if account is not None and account.balance is not None:
            balance = account.balance
            answer.posted, answer.held = balance.posted.decimal, balance.held.decimal
            answer.incoming = balance.incoming.decimal
            answer.available = balance.available.decimal
            answer.version = account.version
        answers.append(answer)
    return _answer(wire.BalancesOut(balances=answers))


@router.get("/accounts/{account_id}/statement", responses=gives(wire.StatementOut))
async def get_statement(
    me: CanRead, account_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """An account's lines, newest first, with the balance after each."""
    account = await find_account(me.house.db, account_id)
    if account is None:
        raise NotFound
    names = await me.namespace.names(me.house.db, [account.ref])
    if account.ref not in names:
        raise NotFound
    if account.balance is None:
        raise NoRunningBalance
    page = await me.house.get(History).statement(account.ref, limit=limit, cursor=cursor)
    return _answer(
        wire.StatementOut(
            owner=names[account.ref],
            asset=account.ref.asset.code,
            items=[_line(line) for line in page.items],
            next_cursor=page.next_cursor,
        )
    )


async def _accounts(me: Caller, asked: list[wire.AccountIn], refs: list[AccountRef]) -> Response:
    found = await accounts_of(me.house.db, refs)
    answers = []
    for one, ref in zip(asked, refs, strict=True):
        account = found.get(ref)
        answer = wire.AccountOut(owner=one.owner, asset=one.asset, opened=account is not None)
        if account is not None:
            answer.id, answer.state = account.id, account.state
            answer.version, answer.created_at = account.version, account.created_at
        answers.append(answer)
    return _answer(wire.AccountsOut(accounts=answers))


def _line(line: StatementLine) -> wire.LineOut:
    return wire.LineOut(
        version=line.version,
        transfer_id=line.transfer_id,
        kind=line.kind,
        change=line.change.decimal,
        amount=line.amount.decimal,
        balance=line.balance.decimal,
        held=line.held.decimal,
        booked_at=line.booked_at,
        reference=line.reference.id,
    )


def _read(model: type[M], body: bytes) -> M:
    """Raises: RequestValidationError, which the shell answers without what was sent."""
    try:
        return model.model_validate_json(body)
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(errors) from None


def _answer(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
