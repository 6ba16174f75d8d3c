"""``python -m infra.local_stack``: the three servers until Ctrl-C, their settings for a shell on standard output."""

import shlex
import signal
import sys
from typing import Final

from domain.errors import FacematchError
from infra.local_stack.interruption import treat_alike
from infra.local_stack.stack import LocalStack

_DATABASE: Final = "photo_app"
_BUCKET: Final = "images"


def main() -> None:
    """Start the servers with an empty database and an empty bucket; stop and remove everything at the end."""
    treat_alike()
    try:
        with LocalStack(progress=lambda name: _say(f"started {name}")) as stack:
            stack.postgres.create_database(_DATABASE)
            stack.s3.client().make_bucket(_BUCKET)
            for name, value in stack.environment(_DATABASE).items():
                sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
            sys.stdout.flush()
            _say("ready; Ctrl-C stops the servers and removes what they stored")
            while True:
                signal.pause()
    except KeyboardInterrupt:
        _say("stopped")
    except FacematchError as error:
        sys.exit(str(error))


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
