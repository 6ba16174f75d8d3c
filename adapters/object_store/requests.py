"""GET requests for objects, signed as S3 servers want them."""

import hashlib
from typing import Any

from minio.credentials.credentials import Credentials
from minio.helpers import BaseURL
from minio.signer import sign_v4_s3
from minio.time import to_amz_date, utcnow
from yarl import URL

from domain.images import ImageRef

_NO_BODY = hashlib.sha256().hexdigest()


class SignedRequests:
    """Makes requests to one server; without credentials, they are not signed.

    The address and its signature are the minio SDK's, so that they are what every S3 server understands: `AWS
    Signature Version 4 <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>`_ in
    headers, for a fixed region.
    """

    def __init__(self, endpoint: str, region: str, *, secure: bool) -> None:
        self._base = BaseURL(f"{'https' if secure else 'http'}://{endpoint}", region)
        self._region = region

    def get(self, ref: ImageRef, credentials: Credentials | None) -> tuple[URL, dict[str, Any]]:
        """Return address and headers of a request for the object, good for some minutes."""
        url = self._base.build(method="GET", region=self._region, bucket_name=ref.bucket, object_name=ref.key)
        headers: dict[str, Any] = {"Host": url.netloc}
        if credentials is not None:
            date = utcnow()
            headers |= {"x-amz-content-sha256": _NO_BODY, "x-amz-date": to_amz_date(date)}
            if credentials.session_token:
                headers["x-amz-security-token"] = credentials.session_token
            sign_v4_s3(
                method="GET",
                url=url,
                region=self._region,
                headers=headers,
                credentials=credentials,
                content_sha256=_NO_BODY,
                date=date,
            )
        return URL(url.geturl(), encoded=True), headers | {"Accept-Encoding": "identity"}
