"""Every macro on one page, with the awkward cases: long words, huge and tiny amounts, hostile
text, empty lists. Development only; whoever changes a macro looks here first."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from hazina.desk.webkit.charts import Series, bar_chart, line_chart
from hazina.desk.webkit.current import OptionalCustomer
from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.forms import (
    Choice,
    Field,
    FormSpec,
    amount_field,
    check_field,
    choice_field,
    password_field,
)
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import (
    Activity,
    Column,
    Figure,
    Line,
    Link,
    Step,
    StepState,
    Value,
)
from hazina.identity.bearer import house_of
from hazina.kernel.errors import Invalid
from hazina.kernel.money import KES, XAU
from hazina.kernel.price import Price

router = APIRouter()

AT = datetime(2026, 11, 20, 9, 4, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script> & "quotes" \'single\''
LONG = "A_very_long_word_without_any_break_such_as_a_reference_" + "0123456789" * 4

PAY_FROM = choice_field(
    "pay_from",
    "Pay from",
    [
        Choice("mpesa", "M-Pesa", "A prompt comes to +254 ••• 678."),
        Choice("balance", "Your KES balance", "KES 8,250.00 available."),
    ],
)
FORM = FormSpec(
    amount_field("amount", "How much", KES, whole=True, help="KES 10 to KES 250,000."),
    amount_field("grams", "Grams", XAU, help="At most three decimals are shown, six are kept."),
    PAY_FROM,
    Field("note", "Note", str, kind="area", required=False, help="Only you see it."),
    password_field("password", "Password"),
    check_field("partial", "Take less if there is too little gold"),
)


@router.get("/components")
async def components(request: Request, _viewer: OptionalCustomer) -> HTMLResponse:
    now = house_of(request).clock.now()
    return render(
        request,
        "wallet/components.html",
        now=now,
        at=AT,
        hostile=HOSTILE,
        long=LONG,
        price=Price.per_unit("13333.3350", XAU, KES),
        until=now + timedelta(seconds=48),
        **_amounts(),
        **_lists(),
        **_steps(),
        **_forms(),
        **_charts(),
    )


def _amounts() -> dict[str, Any]:
    return {
        "small": KES.money("250.00"),
        "huge": KES.money("123456789012345678.90"),
        "minus": KES.money("-1500.00"),
        "gold": XAU.money("12.480375"),
        "speck": XAU.money("0.000412"),
        "parts": [
            Figure("Held", KES.money("5000.00")),
            Figure("Arriving", KES.money("1000.00")),
            Figure("Gold", XAU.money("12.480375")),
        ],
        "figures": [
            Figure("Available", KES.money("8250.00"), "Yours to use now"),
            Figure("Gold", XAU.money("12.480375"), "Worth about KES 166,400"),
            Figure("Waiting for a person", 3, "Oldest 2 hours", Tone.WARN, "/components"),
            Figure("Books", "Balance", "Checked a minute ago", Tone.GOOD),
        ],
        "shortcut_links": [
            Link("Deposit", "#", "in"),
            Link("Withdraw", "#", "out"),
            Link("Buy gold", "#", "gold", gold=True),
            Link("Sell gold", "#", "sell", gold=True),
        ],
        "tones": list(Tone),
    }


def _lists() -> dict[str, Any]:
    day = timedelta(days=1)
    rows: list[list[Value]] = [
        [AT - day * i, text, KES.money(amount), KES.money("8250.00")]
        for i, (text, amount) in enumerate(
            [
                ("Deposit by M-Pesa, TKL4AB12CD", "1000.00"),
                (HOSTILE, "-5000.00"),
                (LONG, "123456789012.00"),
            ]
        )
    ]
    return {
        "columns": [
            Column("When"),
            Column("What"),
            Column("Amount", numeric=True),
            Column("Balance", numeric=True),
        ],
        "rows": rows,
        "items": [
            Activity("Deposit", AT, KES.money("1000.00"), "M-Pesa TKL4AB12CD", "#", "in"),
            Activity(
                "Gold bought",
                AT - day,
                XAU.money("0.375012"),
                "KES 5,000.00",
                "#",
                "gold",
                "Waiting for M-Pesa",
                Tone.WAIT,
            ),
            Activity(
                "Withdrawal",
                AT - 2 * day,
                KES.money("-3000.00"),
                "To +254 ••• 678",
                "#",
                "out",
                "Did not arrive",
                Tone.BAD,
            ),
            Activity(LONG, AT - 3 * day, KES.money("-123456789012.00"), HOSTILE, icon="sell"),
        ],
    }


def _steps() -> dict[str, Any]:
    words = [
        ("Asked", "You asked to buy gold for KES 5,000.00."),
        ("Accepted by M-Pesa", "Answer the prompt on your phone."),
        ("Paid", "M-Pesa confirms the payment."),
        ("Booked", "The grams are yours."),
    ]
    second = timedelta(seconds=1)
    return {
        "waiting": [
            Step("Asked", StepState.DONE, AT, words[0][1]),
            Step("Accepted by M-Pesa", StepState.NOW, AT + 2 * second, words[1][1]),
            Step("Paid", StepState.NEXT),
            Step("Booked", StepState.NEXT),
        ],
        "done": [
            Step(label, StepState.DONE, AT + i * 9 * second, note)
            for i, (label, note) in enumerate(words)
        ],
        "failed": [
            Step("Asked", StepState.DONE, AT, words[0][1]),
            Step(
                "Declined on the phone",
                StepState.FAILED,
                AT + 31 * second,
                "Nothing was taken. The gold is back on offer: you can ask again.",
            ),
        ],
        "lines": [
            Line("You pay", KES.money("5000.00"), "By M-Pesa from +254 ••• 678", strong=True),
            Line("You receive", XAU.money("0.375012"), strong=True),
            Line("Price", Price.per_unit("13333.335", XAU, KES)),
            Line("Fee", KES.money("0.00")),
            Line("When", "As soon as M-Pesa confirms, mostly within a minute"),
            Line("Can it be undone?", "Nobody can reverse it. You can sell at the selling price."),
        ],
    }


def _forms() -> dict[str, Any]:
    blank = FORM.blank(amount="5000", pay_from="mpesa")
    wrong = FORM.parse(
        {"amount": "12.50", "grams": HOSTILE, "pay_from": "coins", "note": LONG, "password": "x"}
    )
    refused = FORM.blank(amount="5000")
    refused.refuse_with(
        Invalid("There are 0.120 g left in the vault.", action="Ask for less, or take a part.")
    )
    return {"blank": blank, "wrong": wrong, "refused": refused}


def _charts() -> dict[str, Any]:
    days = [f"{day} Nov" for day in range(1, 21)]
    buy = [13_050, 13_080, 13_060, 13_110, 13_140, 13_120, 13_150, 13_210, 13_190, 13_230]
    buy += [13_260, 13_240, 13_290, 13_280, 13_310, 13_350, 13_330, 13_320, 13_360, 13_400]
    sell: list[int | None] = [price - 330 for price in buy]
    sell[6] = None
    flows = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    money_in = [Decimal(n) for n in ("12000", "18500.50", "9000", "0", "22000", "4100", "800")]
    money_out = [Decimal(n) for n in ("-4000", "-2500", "-12000", "0", "-6000", "-900", "0")]
    return {
        "line": line_chart(
            "Gold",
            days,
            [Series("You buy at", buy, "gold"), Series("You sell at", sell, "grey")],
            unit="KES per gram",
            area=True,
        ),
        "bars": bar_chart(
            "In and out",
            flows,
            [Series("In", money_in), Series("Out", money_out, "gold")],
            unit="KES",
        ),
        "lone": line_chart("One day only", ["20 Nov"], [Series("Price", [13_400])], unit="KES"),
    }
