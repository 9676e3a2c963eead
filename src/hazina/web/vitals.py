"""Is it alive, is it ready, how is it doing: for supervisors, balancers and Prometheus."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from hazina.infra import health
from hazina.infra.house import House
from hazina.infra.observability import METRICS_TYPE, render_metrics
from hazina.kernel.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers; nothing else is asked."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """The house can serve: 200, or 503 with the part that fails."""
    house: House = request.app.state.house
    found = await health.check(house.db, request.app.state.schema_heads)
    return JSONResponse(found.as_json(), status_code=200 if found.ready else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Figures for a scraper that reaches us directly; what came through a proxy is the public."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        raise NotFound
    return Response(render_metrics(), media_type=METRICS_TYPE)
