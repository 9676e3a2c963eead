"""Gold in words for pages: what a trade will do, what it did, and why it comes to that."""

from collections.abc import Sequence
from uuid import UUID

from hazina.desk.webkit.filters import plain
from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.view import Activity, Line
from hazina.kernel.ids import wire_id
from hazina.kernel.money import Money
from hazina.products.gold.repository import Quote, Trade
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Prices, Side, Terms, Via
from hazina.products.gold.timeline import per_gram

CHIPS: dict[TradeState, tuple[str, Tone]] = {
    TradeState.REQUESTED: ("Waiting for M-Pesa", Tone.WAIT),
    TradeState.COMPLETED: ("Done", Tone.GOOD),
    TradeState.CANCELLED: ("Not paid", Tone.NEUTRAL),
    TradeState.RELEASING: ("Being settled", Tone.WAIT),
    TradeState.KEPT_AS_SHILLINGS: ("Kept as shillings", Tone.WARN),
    TradeState.FAILED: ("Not paid out", Tone.BAD),
}
FINAL = (
    TradeState.COMPLETED,
    TradeState.CANCELLED,
    TradeState.KEPT_AS_SHILLINGS,
    TradeState.FAILED,
)


def page_of(trade_id: UUID) -> str:
    """The path of a trade's page."""
    return f"/gold/trades/{wire_id('trd', trade_id)}"


def title(trade: Trade) -> str:
    return "Gold purchase" if trade.side is Side.BUY else "Gold sale"


def review_lines(quote: Quote, terms: Terms, via: Via, phone: str) -> list[Line]:
    """What leaves, what arrives, price, when, and who can reverse it.

    ``terms`` are less than the quote's where only a part can be bought.
    """
    if terms.side is Side.BUY:
        source = f"By M-Pesa from {phone}" if via is Via.MPESA else "From your wallet"
        lines = [
            Line("You pay", terms.total, source, strong=True),
            Line("You receive", terms.grams, strong=True),
        ]
        when = "When M-Pesa confirms, mostly within a minute" if via is Via.MPESA else "At once"
    else:
        target = f"By M-Pesa to {phone}" if via is Via.MPESA else "To your wallet"
        lines = [
            Line("You sell", terms.grams, strong=True),
            Line("You receive", terms.total, target, strong=True),
        ]
        when = "When M-Pesa has paid, mostly within a minute" if via is Via.MPESA else "At once"
    if terms.grams < quote.terms.grams:
        asked = f"You asked for {plain(quote.terms.grams)}; this is all that is for sale now."
        lines.append(Line("A part of it", terms.grams, asked))
    return [
        *lines,
        Line("Price", quote.prices.of(terms.side)),
        Line("Our spread, inside the price", terms.spread),
        *_rounding(terms),
        Line("When", when),
        Line("Can it be undone?", "No. You can trade back at the price of that moment."),
    ]


def receipt_lines(trade: Trade, receipt: str | None) -> list[Line]:
    """What a trade did, or would do: nothing is called paid before it is."""
    done = trade.state is TradeState.COMPLETED
    if trade.side is Side.BUY:
        paid = done or trade.state in (TradeState.RELEASING, TradeState.KEPT_AS_SHILLINGS)
        lines = [
            Line("Paid" if paid else "To pay", trade.terms.total, strong=True),
            Line("Gold" if done else "Gold asked for", trade.terms.grams, strong=True),
        ]
    else:
        lines = [
            Line("Sold" if done else "To sell", trade.terms.grams, strong=True),
            Line("Paid to you" if done else "To be paid", trade.terms.total, strong=True),
        ]
    lines += [Line("Price", trade.prices.of(trade.side)), Line("Asked at", trade.created_at)]
    if trade.partial:
        lines.append(Line("In part", "All the gold that was for sale at that moment."))
    if receipt:
        lines.append(Line("M-Pesa receipt", receipt))
    return [*lines, Line("Reference", wire_id("trd", trade.id))]


def why_lines(terms: Terms, prices: Prices, lots: Sequence[tuple[str, Money]]) -> list[Line]:
    """The postings in words: where each cent and microgram of a booked trade went."""
    buying = terms.side is Side.BUY
    middle = f"{plain(terms.grams)} at {per_gram(prices.mid)}, half-way between our two prices"
    sign = "And" if buying else "Less"
    return [
        Line("The gold at mid price", terms.at_mid, middle),
        Line(f"{sign} our spread", terms.spread, "What we earn on this trade."),
        *_rounding(terms, sign),
        Line("You paid" if buying else "You were paid", terms.total, strong=True),
        *(Line(f"{'From' if buying else 'Back to'} {name}", grams) for name, grams in lots),
    ]


def activity_of(trade: Trade) -> Activity:
    """A trade in a list."""
    label, tone = CHIPS[trade.state]
    buying = trade.side is Side.BUY
    return Activity(
        "Bought gold" if buying else "Sold gold",
        trade.created_at,
        trade.terms.grams if buying else -trade.terms.grams,
        plain(trade.terms.total),
        page_of(trade.id),
        "gold" if buying else "sell",
        "" if trade.state is TradeState.COMPLETED else label,
        tone,
    )


def _rounding(terms: Terms, sign: str = "") -> list[Line]:
    if not terms.rounding:
        return []
    note = "Shillings to pay round up" if terms.side is Side.BUY else "Payouts round down"
    label = f"{sign} rounding".strip().capitalize()
    return [Line(label, terms.rounding, f"{note}; it is booked on its own.")]
