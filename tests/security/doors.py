"""Which route is for whom, written down by hand: a route's own code cannot vouch for itself.

A route that is not here fails ``test_access``: put it under the narrowest heading that is true.
"""

from dataclasses import dataclass
from enum import StrEnum

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from hazina.identity.credentials import Scope
from hazina.identity.people import Role


class For(StrEnum):
    """Who a route is for."""

    ANYBODY = "anybody"
    CUSTOMER = "a customer, about what is theirs"
    OPERATOR = "every operator"
    CLERK = "operators who do something: not auditors"
    KEEPER = "managers and administrators"
    SERVICE = "any service"
    POSTER = "a service that may post"
    READER = "a service that may read"
    OPENER = "a service that may open accounts"


ROLES = {
    For.OPERATOR: frozenset(Role),
    For.CLERK: frozenset(Role) - {Role.AUDITOR},
    For.KEEPER: frozenset({Role.MANAGER, Role.ADMINISTRATOR}),
}
SERVICE = {For.POSTER: Scope.POST, For.READER: Scope.READ, For.OPENER: Scope.ACCOUNTS}

TABLE = {
    For.ANYBODY: """
        wallet GET /static/{name}
        wallet POST /preferences
        wallet GET /healthz
        wallet GET /readyz
        wallet GET /metrics
        wallet POST /api/v1/auth/register
        wallet POST /api/v1/auth/login
        wallet POST /api/v1/auth/refresh
        wallet POST /api/v1/operator/auth/login
        wallet POST /api/v1/operator/auth/refresh
        wallet POST /api/v1/auth/recovery
        wallet POST /api/v1/auth/recovery/stop
        wallet POST /api/v1/auth/recovery/{recovery_id}/email
        wallet POST /api/v1/auth/recovery/{recovery_id}
        wallet GET /api/v1/gold/prices/current
        wallet POST /hooks/{token}/{letter}
        wallet GET /
        wallet GET /deposits/review
        wallet GET /withdrawals/review
        wallet GET /login
        wallet POST /login
        wallet POST /login/code
        wallet GET /register
        wallet POST /register
        wallet GET /recover
        wallet POST /recover
        wallet POST /recover/finish
        wallet GET /freeze
        wallet POST /freeze
        wallet GET /openapi.json
        wallet GET /docs
        wallet GET /components
        console GET /static/{name}
        console POST /preferences
        console GET /healthz
        console GET /readyz
        console GET /metrics
        console GET /login
        console POST /login
        console POST /login/code
        internal GET /healthz
        internal GET /readyz
        internal GET /metrics
    """,
    For.CUSTOMER: """
        wallet POST /api/v1/auth/logout
        wallet POST /api/v1/auth/password
        wallet GET /api/v1/auth/sessions
        wallet DELETE /api/v1/auth/sessions/{session_id}
        wallet GET /api/v1/user/me
        wallet GET /api/v1/user/second-factor
        wallet POST /api/v1/user/second-factor
        wallet POST /api/v1/user/second-factor/confirm
        wallet POST /api/v1/user/second-factor/recovery-codes
        wallet DELETE /api/v1/user/second-factor
        wallet GET /api/v1/user/devices
        wallet PUT /api/v1/user/devices/{device_id}
        wallet DELETE /api/v1/user/devices/{device_id}
        wallet GET /api/v1/user/payout-phones
        wallet POST /api/v1/user/payout-phones
        wallet DELETE /api/v1/user/payout-phones/{phone_id}
        wallet GET /api/v1/user/standing
        wallet POST /api/v1/user/freeze
        wallet POST /api/v1/user/unfreeze/begin
        wallet POST /api/v1/user/unfreeze
        wallet POST /api/v1/user/api-keys
        wallet GET /api/v1/user/api-keys
        wallet DELETE /api/v1/user/api-keys/{key_id}
        wallet GET /api/v1/user/messages
        wallet POST /api/v1/user/messages/read
        wallet GET /api/v1/user/messages/wishes
        wallet PUT /api/v1/user/messages/wishes
        wallet POST /api/v1/wallet/deposits
        wallet GET /api/v1/wallet/deposits
        wallet GET /api/v1/wallet/deposits/paybill
        wallet GET /api/v1/wallet/deposits/{deposit_id}
        wallet POST /api/v1/wallet/withdrawals
        wallet GET /api/v1/wallet/withdrawals
        wallet GET /api/v1/wallet/withdrawals/{withdrawal_id}
        wallet POST /api/v1/gold/quotes
        wallet POST /api/v1/gold/trade/buy
        wallet POST /api/v1/gold/trade/sell
        wallet GET /api/v1/gold/trades
        wallet GET /api/v1/gold/trade/{trade_id}
        wallet GET /api/v1/user/balance
        wallet GET /api/v1/user/ledger
        wallet GET /messages
        wallet POST /messages/wishes
        wallet GET /deposits
        wallet GET /deposits/new
        wallet GET /deposits/paybill
        wallet GET /deposits/paybill.png
        wallet POST /deposits/new
        wallet POST /deposits/review
        wallet POST /deposits
        wallet GET /deposits/{deposit_id}
        wallet GET /deposits/{deposit_id}/events
        wallet GET /withdrawals
        wallet GET /withdrawals/new
        wallet POST /withdrawals/new
        wallet POST /withdrawals/review
        wallet POST /withdrawals
        wallet GET /withdrawals/{withdrawal_id}
        wallet GET /withdrawals/{withdrawal_id}/events
        wallet GET /gold
        wallet GET /gold/buy
        wallet GET /gold/sell
        wallet POST /gold/buy
        wallet POST /gold/sell
        wallet POST /gold/buy/confirm
        wallet POST /gold/sell/confirm
        wallet GET /gold/trades
        wallet GET /gold/trades/{trade_id}
        wallet GET /gold/trades/{trade_id}/live
        wallet GET /activity
        wallet GET /activity/statement.csv
        wallet POST /logout
        wallet GET /security
        wallet POST /security/password
        wallet POST /security/sessions/{session_id}/end
        wallet POST /security/sessions/end-others
        wallet GET /security/second-factor
        wallet POST /security/second-factor/begin
        wallet POST /security/second-factor/confirm
        wallet POST /security/second-factor/recovery-codes
        wallet POST /security/second-factor/off
        wallet GET /security/phones
        wallet POST /security/phones
        wallet POST /security/phones/{phone_id}/remove
        wallet GET /security/keys
        wallet POST /security/keys
        wallet POST /security/keys/{key_id}/revoke
        wallet POST /security/devices/{device_id}/name
        wallet POST /security/devices/{device_id}/forget
        wallet POST /security/freeze
        wallet POST /security/unfreeze/begin
        wallet POST /security/unfreeze
    """,
    For.OPERATOR: """
        wallet POST /api/v1/operator/auth/logout
        wallet GET /api/v1/operator/me
        wallet GET /api/v1/gold/prices
        wallet GET /api/v1/gold/pools
        console GET /
        console GET /deposits
        console GET /deposits/{deposit_id}
        console GET /withdrawals
        console GET /withdrawals/{withdrawal_id}
        console GET /open-questions
        console GET /open-questions/{wire}
        console GET /suspense
        console GET /messages
        console GET /debts
        console GET /switches
        console GET /ledger
        console GET /ledger/accounts/{purpose}/{asset}/{owner}
        console GET /treasury
        console GET /customers
        console GET /customers/{customer_id}
        console GET /statements
        console GET /approvals
        console GET /approvals/{approval_id}
        console GET /gold/prices
        console GET /gold/lots
        console POST /logout
    """,
    For.CLERK: """
        console POST /open-questions/{wire}/ask
        console POST /held-jobs/{key}/retry
        console POST /statements
        console POST /statements/list
        console POST /messages/{message_id}/again
        console POST /customers/{customer_id}/stop
        console GET /switches/{switch}/{way}
        console POST /switches/{switch}/{way}
        console POST /switches/{switch}/{way}/review
    """,
    For.KEEPER: """
        console GET /open-questions/{wire}/resend
        console POST /open-questions/{wire}/resend
        console POST /open-questions/{wire}/absent
        console POST /open-questions/{wire}/late
        console POST /open-questions/{wire}/give
        console POST /open-questions/{wire}/return
        console POST /open-questions/{wire}/returned
        console POST /open-questions/{wire}/settled
        console POST /approvals/{approval_id}/approve
        console POST /approvals/{approval_id}/reject
        console GET /ledger/period
        console POST /ledger/period/review
        console POST /ledger/period
        console GET /ledger/accounts/{purpose}/{asset}/{owner}/credit
        console POST /ledger/accounts/{purpose}/{asset}/{owner}/credit/review
        console POST /ledger/accounts/{purpose}/{asset}/{owner}/credit
        console GET /ledger/accounts/{purpose}/{asset}/{owner}/{act}
        console POST /ledger/accounts/{purpose}/{asset}/{owner}/{act}/review
        console POST /ledger/accounts/{purpose}/{asset}/{owner}/{act}
        console GET /debts/{debt_id}
        console POST /debts/{debt_id}
        console POST /treasury/tariffs
        console POST /treasury/movements
        console GET /treasury/movements/{movement_id}/back
        console POST /treasury/movements/{movement_id}/back
        console POST /customers/{customer_id}/lift
        wallet POST /api/v1/gold/prices
        wallet POST /api/v1/gold/pools
        wallet POST /api/v1/gold/pools/{pool_id}/topup
        wallet PATCH /api/v1/gold/pools/{pool_id}
        console POST /gold/prices
        console POST /gold/lots
        console GET /gold/lots/{lot_id}/topup
        console POST /gold/lots/{lot_id}/topup
    """,
    For.SERVICE: "internal GET /internal/openapi.json",
    For.POSTER: "internal POST /internal/ledger/transfers",
    For.READER: """
        internal GET /internal/ledger/transfers/{transfer_id}
        internal GET /internal/ledger/accounts/{account_id}/statement
        internal POST /internal/ledger/accounts/query
        internal POST /internal/ledger/balances
    """,
    For.OPENER: "internal POST /internal/ledger/accounts",
}
# What an API key may do beside reading: each of the rest of a customer's routes refuses every key.
KEYS = {
    "POST /api/v1/wallet/deposits": "trade",
    "POST /api/v1/gold/quotes": "trade",
    "POST /api/v1/gold/trade/buy": "trade",
    "POST /api/v1/gold/trade/sell": "trade",
    "POST /api/v1/wallet/withdrawals": "withdraw",
}
# Whoever gets through here is somebody else afterwards, or nobody.
LAST = frozenset({
    "POST /api/v1/auth/logout", "POST /api/v1/operator/auth/logout", "POST /logout",
    "POST /api/v1/user/freeze", "POST /security/freeze", "POST /security/sessions/end-others",
})  # fmt: skip
# Honest answers of a house that has neither a worker nor M-Pesa.
MAY_BE_503 = frozenset({"GET /readyz", "GET /api/v1/wallet/deposits/paybill"})
JSON = ("/api/", "/hooks/", "/internal/", "/healthz", "/readyz", "/metrics", "/openapi.json")


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """One method of one route."""

    shell: str
    method: str
    path: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_page(self) -> bool:
        return not self.path.startswith(JSON)


DOORS = {
    Door(*line.split()): whom for whom, lines in TABLE.items() for line in lines.strip().split("\n")
}


def doors_of(shell: str, app: FastAPI) -> set[Door]:
    """Every method of every route that an app really has."""
    return {
        Door(shell, method, str(found.path))
        for found in iter_route_contexts(app.routes)
        for method in set(found.methods or ()) - {"HEAD"}
    }
