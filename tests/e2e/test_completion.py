"""Completion, in the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from entrypoints.cli import app

_BASH = shutil.which("bash") or "bash"
_ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_facematch
printf '%s\\n' "${COMPREPLY[@]}"
"""
_ASK_FISH = """source $argv[1]; complete -C "$argv[2]" | string split -f 1 \\t"""


def _script(shell: str, folder: Path) -> Path:
    path = folder / f"completion.{shell}"
    path.write_text(CliRunner().invoke(app, ["completion", shell], prog_name="facematch").stdout, encoding="utf-8")
    return path


def test_bash_completes_commands_options_and_values(tmp_path: Path) -> None:
    """Also behind a command of two words; and what it says comes from the script alone."""
    script = str(_script("bash", tmp_path))

    def offered(*words: str) -> set[str]:
        line = [_BASH, "--norc", "-c", _ASK_BASH, "bash", script, "facematch", *words]
        done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60, env={"PATH": ""})
        return set(done.stdout.split())

    assert offered("rec") == {"reconcile"}
    assert offered("dead", "") == {"list", "show", "replay", "purge"}
    assert offered("dead", "replay", "--dry") == {"--dry-run"}
    assert offered("backfill", "--outcome", "") == {"matched", "skipped", "failed", "none"}
    assert offered("completion", "") == {"bash", "zsh", "fish"}


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes_commands_options_and_values(tmp_path: Path) -> None:
    """As in bash."""
    script = str(_script("fish", tmp_path))

    def offered(line: str) -> set[str]:
        command = ["fish", "--no-config", "-c", _ASK_FISH, script, f"facematch {line}"]
        return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())

    assert offered("dead ") == {"list", "show", "replay", "purge"}
    assert offered("backfill --outcome ") == {"matched", "skipped", "failed", "none"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_can_read_its_script(tmp_path: Path) -> None:
    """It is a valid script for ``compinit``."""
    script = _script("zsh", tmp_path)
    assert script.read_text(encoding="utf-8").startswith("#compdef facematch")
    subprocess.run(["zsh", "-n", str(script)], check=True, timeout=60)


def test_the_list_of_commands_imports_none_of_them() -> None:
    """So help is there at once: neither numpy nor a driver is loaded for it."""
    code = "import sys; from entrypoints.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert {"numpy", "nats", "psycopg", "rich"} & set(loaded.split()) == set()
