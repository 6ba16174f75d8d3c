"""``/livez``, ``/readyz`` and ``/metrics`` over HTTP."""

from collections.abc import Callable

from aiohttp import web

from entrypoints.worker import Worker


def health_application(worker: Worker, metrics: Callable[[], tuple[str, bytes]]) -> web.Application:
    """Return the application; ``metrics`` gives the content type and the text for Prometheus."""

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"alive": worker.alive}, status=200 if worker.alive else 503)

    async def readyz(_request: web.Request) -> web.Response:
        reasons = dict(worker.not_ready)
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def render(_request: web.Request) -> web.Response:
        content_type, body = metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", render)])
    return application
