"""``/livez``, ``/readyz`` and ``/metrics`` over HTTP."""

from collections.abc import Callable, Mapping
from typing import Protocol

from aiohttp import web


class Vitals(Protocol):
    """How a worker is."""

    @property
    def alive(self) -> bool:
        """False when it should be started anew."""

    @property
    def not_ready(self) -> Mapping[str, str]:
        """Why it takes no jobs, or can settle none, by cause; empty when neither is so."""


def health_application(vitals: Callable[[], Vitals], metrics: Callable[[], tuple[str, bytes]]) -> web.Application:
    """Return the application; ``metrics`` gives the content type and the text for Prometheus."""

    async def livez(_request: web.Request) -> web.Response:
        alive = vitals().alive
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def readyz(_request: web.Request) -> web.Response:
        reasons = dict(vitals().not_ready)
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def render(_request: web.Request) -> web.Response:
        content_type, body = metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", render)])
    return application
