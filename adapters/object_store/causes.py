"""What lies behind a driver's error, in words that hold no address and no secret."""

import os
import ssl


def brief(error: BaseException) -> str:
    """Say what happened without URLs: the error's type and the system's word for it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and cause.strerror:
            return f"{type(error).__name__} ({cause.strerror})"
        if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
            return f"{type(error).__name__} ({os.strerror(cause.errno)})"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
