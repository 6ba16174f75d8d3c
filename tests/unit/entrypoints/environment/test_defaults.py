"""What an error says of the settings that it names."""

from pathlib import Path

import pytest
import typer

from domain.errors import DatabaseUnavailableError
from entrypoints.environment.defaults import naming_defaults
from entrypoints.terminal.console import explained

_AWAY = "nobody answers (FACEMATCH_DATABASE_URL)"
_TOLD = "(FACEMATCH_DATABASE_URL is not set; its default is postgresql://127.0.0.1:5432/facematch)"


def test_a_default_that_applies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By each setting that is named and not set; an empty one is not set."""
    monkeypatch.setenv("FACEMATCH_DATABASE_URL", "")
    monkeypatch.setenv("FACEMATCH_S3_ENDPOINT", "s3:9000")
    message = f"{_AWAY}; cannot connect (FACEMATCH_NATS_URL): refused; away (FACEMATCH_S3_ENDPOINT)"
    assert naming_defaults(message) == (
        f"nobody answers {_TOLD}; cannot connect "
        "(FACEMATCH_NATS_URL is not set; its default is nats://127.0.0.1:4222): refused; away (FACEMATCH_S3_ENDPOINT)"
    )


def test_a_setting_from_a_file_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its default does not apply."""
    monkeypatch.setenv("FACEMATCH_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert naming_defaults(_AWAY) == _AWAY


def test_a_command_tells_of_defaults_where_it_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever forgot the variable reads so."""
    with pytest.raises(typer.Exit), explained():
        raise DatabaseUnavailableError(_AWAY)
    assert capsys.readouterr().err == f"nobody answers {_TOLD}\n"
