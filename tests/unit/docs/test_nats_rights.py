"""The rights of a NATS user that a JWT gives are those that the shipped configuration gives."""

import re

from tests.unit.docs.pages import ROOT, page

SECTION = page("docs/how-to/deploy.md").section("If another team runs NATS")
PERMISSIONS = (ROOT / "infra/nats/permissions.conf").read_text()


def test_the_worker_of_the_guide_may_do_what_the_shipped_one_may() -> None:
    """``nsc`` is given the same subjects, to publish to and to subscribe to, and no others."""
    [worker] = re.findall(r"^    worker: \{(.*?)^    \}", PERMISSIONS, re.MULTILINE | re.DOTALL)
    publish, subscribe = (re.findall(r'"([^"]+)"', part) for part in worker.split("subscribe:"))
    given = {way: _subjects(way) for way in ("pub", "sub")}
    assert given == {"pub": publish, "sub": subscribe}


def _subjects(way: str) -> list[str]:
    return [subject for listed in re.findall(rf"--allow-{way} '(.+)'", SECTION) for subject in listed.split(",")]
