"""Ctrl-C, at whatever a command is."""

import json
import signal
import socket
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.command import FACEMATCH, PATIENCE_SECONDS, clean_environment

_AGAIN = "interrupted; run it again to do the rest\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit", str(uuid4()), "a.jpg"), "interrupted\n"),
        (("dead", "replay"), _AGAIN),
        (("enroll", str(uuid4()), "a.jpg"), _AGAIN),
        (("backfill",), "interrupted; published jobs stay, and the command that continues is printed\n"),
    ],
)
def test_a_command_that_is_cut_off_says_so(arguments: tuple[str, ...], told: str) -> None:
    """Each with the same exit code, and whether it may be run again; here while a server says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        urls = {
            "FACEMATCH_NATS_URL": f"nats://127.0.0.1:{port}",
            "FACEMATCH_DATABASE_URL": f"postgresql://127.0.0.1:{port}/app",
        }
        with subprocess.Popen(
            [FACEMATCH, *arguments],
            env=clean_environment() | urls,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as command:
            mute.settimeout(PATIENCE_SECONDS)
            with mute.accept()[0]:
                command.send_signal(signal.SIGINT)
                stdout, stderr = command.communicate(timeout=PATIENCE_SECONDS)
    assert (command.returncode, stdout, stderr) == (130, "", told)


def test_an_inspection_that_is_cut_off_has_told_what_it_saw(photographs: Any) -> None:
    """Lines come while it looks; those that were printed are whole, and nothing complains."""
    with subprocess.Popen(
        [FACEMATCH, "inspect", "--json", *[str(photographs.path("obama"))] * 1000],
        env=clean_environment() | {"FACEMATCH_WORKER_PROCESSES": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        lines = [command.stdout.readline()]
        command.send_signal(signal.SIGINT)
        rest, stderr = command.communicate(timeout=PATIENCE_SECONDS)
    lines += rest.splitlines()
    assert {json.loads(line)["error"] for line in lines} == {None}
    assert (command.returncode, stderr, len(lines) < 1000) == (130, "interrupted\n", True)


def test_a_command_that_has_not_begun_says_so_too() -> None:
    """What it imports takes its time."""
    code = (
        "import os, signal, sys\n"
        "from entrypoints import program\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['facematch', 'show']\n"
        "program.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
