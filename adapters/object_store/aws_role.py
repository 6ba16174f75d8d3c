"""Temporary credentials of the AWS role that a pod, task or instance has."""

import asyncio
import math
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import certifi
import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider

from adapters.object_store.causes import brief
from adapters.object_store.errors import StorageRefusedError
from application.ports.clock import Clock
from application.single_flight import SingleFlight

_EARLY_SECONDS: Final = 240.0
"""So long before the end new ones are asked for; instances have them from five minutes before it."""
_URGENT_SECONDS: Final = 30.0
"""With less time than this a request waits for new ones."""
_PAUSE_SECONDS: Final = 10.0
"""So long after a failure none are asked for that nobody waits for."""
_ANSWER_SECONDS: Final = 4.0
"""How long these may take: less than a check of the object store has."""
_WEB_IDENTITY: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"
_REMEDIES: Final = {
    _WEB_IDENTITY: "let the role of AWS_ROLE_ARN trust this service account, and this process reach STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "give the task a role",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "give the service account a role, and let this process reach that address",
}
_INSTANCE: Final = "instance metadata"
_REMEDY_OF_INSTANCE: Final = "give pod, task or instance a role; in a container on EC2 the hop limit has to be 2"
_STATUS: Final = re.compile(r"HTTP status code (\d+)$")


class AwsRole:
    """Asks where AWS has its SDKs ask: in a thread, once at a time, and for everybody.

    New credentials are asked for while the old ones are good; where that fails these are used on. ``report`` hears of
    it, once until new ones come.
    """

    def __init__(self, region: str, *, clock: Clock, report: Callable[[str], None] = lambda _: None) -> None:
        self._region = region
        self._clock = clock
        self._report = report
        self._is_reported = False
        self._failed_at = -math.inf
        self._known: Credentials | None = None
        self._asking = SingleFlight[None, Credentials]()
        self._threads = SingleFlight[None, Credentials]()

    @property
    def source(self) -> str:
        """What is asked, by the variable of AWS that names it; without one it is the instance."""
        return next((name for name in _REMEDIES if os.environ.get(name)), _INSTANCE)

    async def credentials(self) -> Credentials:
        """Return what to sign the next request with.

        Raises:
            StorageRefusedError: there are none, or none any more.

        """
        known, left = self._known, self._seconds_left()
        if known is None or left < _URGENT_SECONDS:
            return await self._asking.do(None, self._ask)
        if left < _EARLY_SECONDS and self._clock.monotonic() - self._failed_at >= _PAUSE_SECONDS:
            self._asking.begin(None, self._ask)
        return known

    async def _ask(self) -> Credentials:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                self._known = await self._threads.do(None, lambda: _in_thread(self._region))
        except Exception as error:  # noqa: BLE001 - it may hold a token: nobody is to see more of it than this
            status = _STATUS.search(str(error))
            what = f"HTTP {status[1]}" if status else brief(error)
            self._failed_at = self._clock.monotonic()
        else:
            self._is_reported = False
            return self._known
        remedy = _REMEDIES.get(self.source, _REMEDY_OF_INSTANCE)
        why = f"no credentials of an AWS role from {self.source} ({what}): {remedy}"
        left = self._seconds_left()
        if self._known is None or left <= 0:
            raise StorageRefusedError(why)
        if not self._is_reported:
            self._is_reported = True
            self._report(f"{why}; the old ones are good for {left:.0f} s")
        return self._known

    def _seconds_left(self) -> float:
        if self._known is None or self._known.expiration is None:
            return 0.0
        return (self._known.expiration - self._clock.now().replace(tzinfo=None)).total_seconds()


async def _in_thread(region: str) -> Credentials:
    """Ask in a thread that the end waits for as little as anybody else does: resolving a name may take a minute."""
    answer = Future[Credentials]()
    answer.set_running_or_notify_cancel()  # so that it takes what comes when nobody waits any more

    def run() -> None:
        try:
            answer.set_result(_answer(region))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
            answer.set_exception(error)

    threading.Thread(target=run, name="aws-role", daemon=True).start()
    return await asyncio.wrap_future(answer)


def _answer(region: str) -> Credentials:
    """Ask once: the address may hold a token, and retries are logged with it."""
    sts = os.environ.get("AWS_ENDPOINT_URL_STS") if os.environ.get(_WEB_IDENTITY) else None
    patience = urllib3.Timeout(connect=_ANSWER_SECONDS / 2, read=_ANSWER_SECONDS)
    with urllib3.PoolManager(timeout=patience, retries=False, ca_certs=certifi.where()) as client:
        return IamAwsProvider(custom_endpoint=sts, http_client=client, region=region).retrieve()
