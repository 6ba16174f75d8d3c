"""What people see, where it cannot simply be shown."""

import json
import os
import subprocess
import sys

import pytest

from entrypoints.terminal.console import print_document

_TELL_IN_A_TASK = """
import asyncio
from entrypoints.terminal import output
from entrypoints.terminal.console import print_document

async def tell():
    for number in range(3):
        print_document({"number": number})
        await asyncio.sleep(0)

async def both():
    async with asyncio.TaskGroup() as group:
        group.create_task(tell())
        group.create_task(asyncio.sleep(60))

with output.guarded_stdout():
    asyncio.run(both())
"""


def test_a_document_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of a file may be text in no encoding, and JSON can say it nevertheless."""
    print_document({"file": "h\udce9.jpg", "who": "Zoë"})
    written = capsys.readouterr().out
    assert written.isascii()
    assert json.loads(written) == {"file": "h\udce9.jpg", "who": "Zoë"}


def test_a_reader_who_has_seen_enough_ends_what_is_told_in_a_task() -> None:
    """As by ``| head -1``: with 1, and without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TELL_IN_A_TASK], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
