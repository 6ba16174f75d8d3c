"""What a bucket can be called, for settings and for the store alike."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,61}[A-Za-z0-9]")
_IP_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")


def check_bucket_name(name: str) -> None:
    """Do nothing with a name that an S3 server may know.

    They are `Amazon's rules <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>`_, with the
    capital letters and underscores of buckets from before March 2018, which other servers take to this day, with the
    colon behind which Ceph has the name of another tenant's bucket, and with the endings of Amazon's aliases.

    Raises:
        ValueError: no server has such a bucket.

    """
    if not _NAME.fullmatch(name) or ".." in name or _IP_ADDRESS.fullmatch(name):
        raise ValueError(
            "expected a bucket's name: 3 to 63 letters, digits and . _ : -, first and last a letter or a digit, "
            "no two dots in a row, no IP address"
        )
