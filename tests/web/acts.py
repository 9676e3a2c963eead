"""A money act as every slice writes it: form, review, confirm, a timeline that moves."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import FormSpec, amount_field
from hazina.desk.webkit.sse import Look, live
from hazina.desk.webkit.templates import render, render_fragment
from hazina.desk.webkit.view import Line, Step, StepState, progress
from hazina.kernel.money import KES, Money

router = APIRouter(prefix="/sample")
AMOUNT = amount_field("amount", "How much", KES, whole=True, help="From KES 10.")
FORM = FormSpec(AMOUNT)
WORDS = [("Asked", "You asked."), ("Paid", "M-Pesa says so."), ("Booked", "It is yours.")]


class Acts:
    """The slice's service: one act per key, however often it is sent."""

    def __init__(self) -> None:
        self.done: dict[str, Money] = {}
        self.progress: dict[str, int] = {}

    def ask(self, key: str, amount: Money) -> str:
        self.done.setdefault(key, amount)
        self.progress.setdefault(key, 1)
        return key

    def steps(self, key: str) -> list[Step]:
        return progress(WORDS, self.progress[key])


def acts_of(request: Request) -> Acts:
    acts: Acts = request.app.state.house.get(Acts)
    return acts


@router.get("/act")
async def show(request: Request) -> Response:
    return render(request, "sample/act.html", form=FORM.blank())


@router.post("/act/review")
async def review(request: Request) -> Response:
    form = await FORM.read(request)
    if not form.ok:
        return render(request, "sample/act.html", status=form.status, form=form)
    lines = [Line("You pay", form.value(AMOUNT), "From your phone.", strong=True)]
    return render(request, "sample/review.html", form=form, lines=lines)


@router.post("/act")
async def confirm(request: Request) -> Response:
    form = await FORM.read(request)
    if not form.ok:
        return render(request, "sample/act.html", status=form.status, form=form)
    key = acts_of(request).ask(form.key, form.value(AMOUNT))
    return redirect(request, f"/sample/acts/{key}")


@router.get("/acts/{key}")
async def status(request: Request, key: str) -> Response:
    steps = acts_of(request).steps(key)
    return render(request, "sample/status.html", steps=steps, final=is_final(steps))


@router.get("/acts/{key}/events")
async def events(request: Request, key: str) -> Response:
    async def look() -> Look:
        steps = acts_of(request).steps(key)
        html = render_fragment(request, "sample/_status.html", steps=steps)
        return Look(html, final=is_final(steps))

    return live(request, look, every_s=0.05)


def is_final(steps: list[Step]) -> bool:
    return all(step.state is StepState.DONE for step in steps)
