"""What gold offers the house."""

from pathlib import Path

from hazina.flows.deposits.purpose import DepositPurposes
from hazina.flows.deposits.request import Deposits
from hazina.flows.withdrawals.purpose import PayoutPurposes
from hazina.flows.withdrawals.request import Withdrawals
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from hazina.products.gold import buy, console, orders, pages, proof, routes, sell, words
from hazina.products.gold.buy import Buying
from hazina.products.gold.buy_settle import RELEASE, BuyPurpose, Release
from hazina.products.gold.lots import Lots
from hazina.products.gold.news import TradeNews
from hazina.products.gold.prices import GoldPrices
from hazina.products.gold.quotes import Quotes
from hazina.products.gold.sell import Selling
from hazina.products.gold.sell_settle import SellPurpose
from hazina.products.gold.shortage import SWEEP, SWEEP_EVERY_S, Shortage
from hazina.products.gold.timeline import Timeline
from hazina.products.gold.trades import Trades

FOLDER = Path(__file__).parent


def build(house: House) -> None:
    """This will put prices, lots, quotes, trades, buying and selling into the house."""
    settings, ledger, audit, jobs = (
        house.settings, house.get(Ledger), house.get(Audit), house.get(Jobs)
    )  # fmt: skip
    prices, lots = GoldPrices(audit), Lots(ledger, audit)
    quotes = Quotes(settings, prices)
    trades, news = Trades(quotes), TradeNews(house.get(Outbox))
    buying = Buying(settings, ledger, audit, lots, quotes, trades, house.get(Deposits), news)
    selling = Selling(settings, ledger, audit, lots, quotes, trades, house.get(Withdrawals), news)
    timeline = Timeline(house.get(Deposits), house.get(Withdrawals))
    for part in (prices, lots, quotes, trades, buying, selling, timeline):
        house.put(part)
    paid = BuyPurpose(jobs, lots, news)
    house.get(DepositPurposes).register(buy.PURPOSE, paid, page=words.page_of)
    house.get(PayoutPurposes).register(sell.PURPOSE, SellPurpose(news), page=words.page_of)
    release = Release(house.db, house.clock, jobs, ledger, news)
    jobs.register(RELEASE, release.run)
    jobs.every("trade.sweep", 30, release.sweep)
    shortage = Shortage(house.db, lots, settings.gold_low_grams)
    jobs.every(SWEEP, SWEEP_EVERY_S, shortage.sweep)
    jobs.every("quote.prune", 3600, lambda: quotes.prune(house.db, house.clock.now()))
    proof.claim(house.get(Proof))


MANIFEST = Manifest(
    "gold",
    build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    routes=(routes.router,),
    pages=(orders.router, pages.router),
    console=(console.router,),
    wallet_nav=(NavItem("Gold", "/gold", "gold", order=30),),
    console_nav=(
        NavItem("Prices", "/gold/prices", "tag", order=30),
        NavItem("Lots", "/gold/lots", "layers", order=31),
    ),
)
