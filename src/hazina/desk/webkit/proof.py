"""Asking an operator once more who they are, before what cannot be undone.

The password, and the code of the app where one is set up: a console that was left open, or a stolen
cookie, approves nothing and sends nothing.
"""

from dataclasses import replace
from datetime import datetime

from hazina.desk.webkit.forms import Form, code_field, password_field
from hazina.identity.login import OperatorLogin
from hazina.identity.people import Operator
from hazina.infra.house import House
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal

PASSWORD = password_field(
    "password", "Your password", help="Asked again, before what cannot be taken back."
)
CODE = code_field(help="Where your account has one. A recovery code works too.")


async def prove(house: House, form: Form, operator: Operator, actor: Actor, now: datetime) -> None:
    """This will check ``PASSWORD`` and ``CODE`` of a form; a no stands beside its field."""
    origin = replace(actor, otp=form.find(CODE) or None)
    try:
        await house.get(OperatorLogin).confirm(operator.username, form.value(PASSWORD), origin, now)
    except Refusal as refusal:
        if refusal.kind is Kind.UNAUTHENTICATED and "field" not in refusal.details:
            form.refuse(PASSWORD.name, "That is not your password.")
        else:
            form.refuse_with(refusal)
