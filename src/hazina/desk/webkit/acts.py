"""Acts of operators' pages: one form, one act, however often its button was hit.

A refusal comes back into the form that was sent. Left out: acts that call the outside; they cannot
be one transaction and stop a second call by the state of their row.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request

from hazina.desk.webkit.forms import Form
from hazina.identity.bearer import house_of
from hazina.infra.db import Tx
from hazina.infra.envelope import refusal_in
from hazina.infra.idempotency import once
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Refusal


async def did(
    request: Request, actor: Actor, form: Form, act: Callable[[Tx], Awaitable[object]]
) -> bool:
    """This will do a form's act once per key, in one transaction; False leaves the refusal in
    the form."""

    async def use_case(tx: Tx) -> tuple[int, dict[str, object]]:
        await act(tx)
        return 200, {}

    body, route = repr(form.carried()).encode(), f"POST console {request.url.path}"
    try:
        status, answer = await once(house_of(request), actor, route, form.key, body, use_case)
        if status >= 400:
            raise refusal_in(status, answer)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return False
    return True
