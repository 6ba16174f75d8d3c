"""Who gives temporary credentials on AWS, in small: those that it gives are a real S3 server's own."""

import json
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from minio import MinioAdmin
from minio.credentials.credentials import Credentials
from minio.credentials.providers import AssumeRoleProvider, StaticProvider

from infra.local_stack.s3 import S3Server
from tests.faults.least_rights import add_reader


class AwsEndpoint:
    """Answers as the agent of EKS Pod Identity does, and as STS to a web identity, until the block ends.

    The credentials are of a user who may read :data:`tests.faults.least_rights.ALLOWED`, and said to be good for
    ``lifetime_seconds`` from ``now``. With ``refusal`` nobody gets any; while ``answering`` is cleared, no answer.
    """

    def __init__(self, s3: S3Server, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._s3 = s3
        self._now = now
        self._user: str | None = None
        self._password = secrets.token_hex(12)
        self.token = f"token-{secrets.token_hex(12)}"
        self._token_file = folder / "aws-token"
        self._token_file.write_text(self.token)
        self.lifetime_seconds = 3600.0
        self.refusal: HTTPStatus | None = None
        self.answering = threading.Event()
        self.answering.set()
        self.asked = 0
        self.given: list[Credentials] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self.forget()
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def pod_identity(self) -> dict[str, str]:
        """The variables that EKS Pod Identity sets."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self._token_file),
        }

    @property
    def web_identity(self) -> dict[str, str]:
        """The variables that roles for service accounts (IRSA) set, and where STS is."""
        return {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(self._token_file),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/photographs",
            "AWS_ENDPOINT_URL_STS": self.url,
        }

    @property
    def secrets(self) -> list[str]:
        """What must be in no log."""
        return [self.token, *(text for one in self.given for text in (one.secret_key, str(one.session_token)))]

    def forget(self) -> None:
        """Have the server refuse all that was given so far, as expired sets are; others can be asked for."""
        if self._user is not None:
            provider = StaticProvider(self._s3.access_key, self._s3.secret_key)
            MinioAdmin(endpoint=self._s3.endpoint, credentials=provider, secure=False).user_remove(self._user)
        self._user = f"role-{uuid4().hex[:8]}"
        add_reader(self._s3, self._user, self._password)

    def _issued(self) -> Credentials:
        assert self._user is not None
        provider = AssumeRoleProvider(
            sts_endpoint=f"http://{self._s3.endpoint}",
            access_key=self._user,
            secret_key=self._password,
            region="us-east-1",
        )
        self.given.append(provider.retrieve())
        return self.given[-1]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(_of_agent, trusted=self.headers["Authorization"] == endpoint.token)

            def do_POST(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._answer(_of_sts, trusted=query["WebIdentityToken"] == [endpoint.token])

            def _answer(self, form: Callable[[Credentials, str], str], *, trusted: bool) -> None:
                endpoint.asked += 1
                endpoint.answering.wait()
                status = endpoint.refusal or (HTTPStatus.OK if trusted else HTTPStatus.UNAUTHORIZED)
                body = b""
                if status is HTTPStatus.OK:
                    end = endpoint._now() + timedelta(seconds=endpoint.lifetime_seconds)
                    body = form(endpoint._issued(), end.strftime("%Y-%m-%dT%H:%M:%SZ")).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _of_agent(given: Credentials, end: str) -> str:
    return json.dumps(
        {
            "AccessKeyId": given.access_key,
            "SecretAccessKey": given.secret_key,
            "Token": given.session_token,
            "Expiration": end,
        }
    )


def _of_sts(given: Credentials, end: str) -> str:
    return (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{given.access_key}</AccessKeyId><SecretAccessKey>{given.secret_key}</SecretAccessKey>"
        f"<SessionToken>{given.session_token}</SessionToken><Expiration>{end}</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
