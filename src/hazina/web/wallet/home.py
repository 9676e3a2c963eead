"""The front page: a landing for strangers, the home of those who are in.

The home answers four questions: what do I own, what can I do, what is under way, what happened.
Gold is valued at the price it could be sold at now; without one it is counted in grams alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from hazina.desk.debts.service import Debts
from hazina.desk.webkit.charts import Chart, Series, line_chart
from hazina.desk.webkit.current import OptionalCustomer
from hazina.desk.webkit.filters import age, plain
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Activity, Column, Figure, Link, Step, StepState, Value
from hazina.flows.deposits import pages as deposit_pages
from hazina.flows.deposits.request import Deposits
from hazina.flows.money_form import handset_url
from hazina.flows.withdrawals import pages as withdrawal_pages
from hazina.flows.withdrawals.request import Withdrawals
from hazina.identity.customers import Customers
from hazina.identity.people import Customer
from hazina.infra.house import House
from hazina.kernel.clock import EAT
from hazina.kernel.money import KES, XAU, Asset, Money, Rounding
from hazina.kernel.price import Price
from hazina.ledger.chart import Purpose, customer
from hazina.ledger.core import Balance
from hazina.ledger.history import History
from hazina.ledger.service import Ledger
from hazina.products.gold import words as gold_words
from hazina.products.gold.prices import GoldPrices
from hazina.products.gold.states import LIVING
from hazina.products.gold.trades import Trades
from hazina.web.statement import SHOWN_ASSETS, merged
from hazina.web.wallet.words import booked

router = APIRouter()

LINES = 8
DAYS = 30
# Trades have no list of their own that are under way: these newest ones are looked through.
LOOKED_THROUGH = 20
SHORTCUTS = [Link("Deposit", "/deposits/new", "in"), Link("Withdraw", "/withdrawals/new", "out")]
GOLD_SHORTCUTS = [
    Link("Buy gold", "/gold/buy", "gold", gold=True),
    Link("Sell gold", "/gold/sell", "sell", gold=True),
]
NAMES = {KES: "Shillings", XAU: "Gold"}

BEGINNING = [
    Step(
        "Say how much", StepState.NEXT, note="Whole shillings; you see everything before you ask."
    ),
    Step(
        "Answer your phone", StepState.NEXT, note="M-Pesa asks for your PIN, there and only there."
    ),
    Step("It is booked", StepState.NEXT, note="Mostly within a minute, with M-Pesa's receipt."),
    Step("Buy gold by the gram", StepState.NEXT, note="Or take the shillings out again."),
]
COLUMNS = [
    Column("What"),
    Column("Available", numeric=True),
    Column("Held", numeric=True),
    Column("Arriving", numeric=True),
]
Balances = Mapping[Asset, Balance]


@router.get("/")
async def front(request: Request, customer: OptionalCustomer) -> HTMLResponse:
    if customer is None:
        return render(request, "wallet/landing.html")
    house: House = request.app.state.house
    now = house.clock.now()
    balances = await _balances(house, customer.id)
    price = await _sell_price(house, now)
    recent = await merged(
        house.get(History), customer.id, SHOWN_ASSETS, limit=LINES, booked_only=True
    )
    under_way = await _under_way(house, customer.id)
    fresh = not recent.items and not under_way
    return render(
        request,
        "wallet/home.html",
        customer=customer,
        debt=await _debt(house, customer.id, now),
        fresh=fresh,
        beginning=BEGINNING,
        handset=await _handset(house, customer) if fresh else "",
        total=_total(balances, price),
        note=_note(balances, price),
        parts=_parts(balances, price),
        columns=COLUMNS,
        rows=_rows(balances),
        shortcuts=[*SHORTCUTS, *(GOLD_SHORTCUTS if _has_gold(house) else [])],
        under_way=under_way,
        recent=[booked(line) for line in recent.items],
        chart=await _chart(house, customer.id, price, now) if recent.items else None,
    )


async def _balances(house: House, owner: UUID) -> Balances:
    """Every asset's balance, also of accounts that were never opened."""
    nothing = {a: Balance(a.units(0), a.units(0), a.units(0)) for a in SHOWN_ASSETS}
    found = await house.get(Ledger).balances_by_purpose(house.db, owner)
    return nothing | {b.posted.asset: b for purpose, b in found if purpose == Purpose.WALLET}


async def _debt(house: House, owner: UUID, now: datetime) -> str:
    """What is owed since M-Pesa took a payment back, in a sentence; empty where nothing is."""
    debts = await house.get(Debts).list_of(house.db, owner)
    if not debts:
        return ""
    owed = KES.units(sum(one.outstanding.units for one in debts))
    return (
        f"M-Pesa took back a payment after you had spent it, {age(debts[0].since, now)} ago. You"
        f" owe {plain(owed)}. What you put in repays it first; until then nothing can be taken"
        " out."
    )


def _has_gold(house: House) -> bool:
    """A house may be run without gold."""
    try:
        house.get(GoldPrices)
    except LookupError:
        return False
    return True


async def _sell_price(house: House, now: datetime) -> Price | None:
    """What a gram could be sold at now; None without gold or without a price."""
    if not _has_gold(house):
        return None
    row = await house.get(GoldPrices).find_at(house.db, now)
    return row.prices.sell if row else None


async def _under_way(house: House, owner: UUID) -> list[Activity]:
    """Whatever still waits for something, newest first; a payment is part of what it pays for."""
    found, paying_for = [], set()
    if _has_gold(house):
        trades = await house.get(Trades).list_of(house.db, owner, limit=LOOKED_THROUGH)
        for trade in trades.items:
            if trade.state in LIVING:
                found.append(gold_words.activity_of(trade))
                paying_for.add(trade.id)
    deposits = await house.get(Deposits).list_open(house.db, owner)
    payouts = await house.get(Withdrawals).list_open(house.db, owner)
    found += [deposit_pages.activity(d) for d in deposits if d.purpose_id not in paying_for]
    found += [withdrawal_pages.activity(p) for p in payouts if p.purpose_id not in paying_for]
    return sorted(found, key=lambda one: one.at, reverse=True)


async def _handset(house: House, me: Customer) -> str:
    """The simulated phone of somebody who has not begun yet; empty where phones are real."""
    if not handset_url(house.settings, ""):
        return ""
    async with house.db.transaction(readonly=True) as tx:
        phone = await house.get(Customers).reveal_phone(tx, me.id)
    return handset_url(house.settings, phone.msisdn)


def _worth(gold: Money, price: Price | None) -> Money:
    return price.cost(gold, Rounding.DOWN) if price else KES.units(0)


def _total(balances: Balances, price: Price | None) -> Money:
    return balances[KES].posted + _worth(balances[XAU].posted, price)


def _note(balances: Balances, price: Price | None) -> str:
    if not balances[XAU].posted:
        return ""
    if price is None:
        return "Without your gold: there is no price for it at the moment."
    return "Your gold is counted at what you could sell it for now."


def _parts(balances: Balances, price: Price | None) -> list[Figure]:
    """What the total is made of; nothing where it is made of one thing."""
    gold = balances[XAU].posted
    if not gold:
        return []
    parts = [Figure("Shillings", balances[KES].posted), Figure("Gold", gold)]
    return [*parts, Figure("Gold is worth", _worth(gold, price))] if price else parts


def _rows(balances: Balances) -> list[list[Value]]:
    """Under ``COLUMNS``: what is free, what is reserved, what is set aside to come."""
    shown = [a for a in SHOWN_ASSETS if a == KES or any(_amounts(balances[a]))]
    return [[NAMES[a], *_amounts(balances[a])] for a in shown]


def _amounts(balance: Balance) -> tuple[Money, Money, Money]:
    return balance.available, balance.held, balance.incoming


async def _chart(house: House, owner: UUID, price: Price | None, now: datetime) -> Chart:
    """What the days of the last month ended with; today as it stands."""
    today = now.astimezone(EAT).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    ends = [datetime.combine(day + timedelta(days=1), time(), EAT) for day in days]
    history = house.get(History)
    shillings = await history.balances_before(customer(owner, KES), ends)
    series = [Series("Shillings", _decimals(shillings))]
    if price is not None:
        gold = await history.balances_before(customer(owner, XAU), ends)
        if any(gold):
            worth = [_worth(grams, price) if grams else grams for grams in gold]
            series.append(Series("Gold, at today's selling price", _decimals(worth), "gold"))
    labels = [f"{day.day} {day:%b}" for day in days]
    return line_chart("Thirty days", labels, series, unit="KES", area=True)


def _decimals(amounts: Sequence[Money | None]) -> list[Decimal | None]:
    """The line begins at nothing, on the day before the first that was booked."""
    found = [None if amount is None else Decimal(amount.decimal) for amount in amounts]
    before = found.count(None) - 1
    if before >= 0:
        found[before] = Decimal(0)
    return found
