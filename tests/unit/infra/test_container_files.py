"""Image, compose file and code say the same: names, versions, times, folders."""

import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from adapters.vision.weights.graph_cache import cache_folder
from entrypoints.environment.variables import read, variables
from entrypoints.settings import Settings, WorkerSettings
from tests.unit.docs.pages import page

CONTAINER: Final = Path("infra/container")
DOCKERFILE: Final = (CONTAINER / "Dockerfile").read_text()
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((CONTAINER / "compose.yaml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
PROJECT: Final = tomllib.loads(Path("pyproject.toml").read_text())
OURS: Final = ("worker", "migrate", "provision")


def image_environment() -> dict[str, str]:
    """Return what the image's last stage sets."""
    _, _, last = DOCKERFILE.rpartition("\nFROM ")
    [block] = re.findall(r"^ENV (.*?[^\\])$", last, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"(\w+)=(\S+)", block))


def given_variables() -> Iterator[str]:
    """Yield every variable of the product that an image or a service sets."""
    yield from (name for name in image_environment() if name.startswith("FACEMATCH_"))
    for service in SERVICES.values():
        yield from (name for name in service.get("environment", {}) if name.startswith("FACEMATCH_"))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a folder in which the secrets have been made."""
    (tmp_path / "make-secrets.sh").write_bytes((CONTAINER / "make-secrets.sh").read_bytes())
    subprocess.run(["sh", str(tmp_path / "make-secrets.sh")], check=True, capture_output=True)
    return tmp_path


def test_only_settings_that_exist_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable would be ignored in silence: each is a setting, and those with _FILE are secrets."""
    declared = {variable.name: variable.secret for variable in variables(Settings)}
    monkeypatch.setenv("FACEMATCH_CACHE", "/somewhere")
    known = {*declared, *(f"{name}_FILE" for name, secret in declared.items() if secret)}
    if cache_folder() == Path("/somewhere"):
        known.add("FACEMATCH_CACHE")

    assert [name for name in given_variables() if name not in known] == []


def test_the_worker_gets_settings_that_can_be_read(made: Path) -> None:
    """With the secrets in their places the service's whole environment is right."""
    service = SERVICES["worker"]
    environment = image_environment() | service["environment"]
    files = {name: made / COMPOSE["secrets"][name]["file"] for name in service["secrets"]}
    for name, value in environment.items():
        if value.startswith("/run/secrets/"):
            environment[name] = str(files[value.removeprefix("/run/secrets/")])

    settings = read(Settings, environment)

    assert settings.nats.password == (made / "secrets" / "nats_worker_password").read_text().strip()
    assert settings.database_url.startswith("postgresql://facematch_worker:")


@pytest.mark.parametrize("service", OURS)
def test_services_of_the_image_are_hardened(service: str) -> None:
    """Nothing of ours may write, gain rights, or reach anything but the servers."""
    definition = SERVICES[service]

    assert definition["read_only"] is True
    assert definition["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own
    assert definition["cap_drop"] == ["ALL"]
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert definition["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert "ports" not in definition


def test_the_worker_is_given_time_to_settle() -> None:
    """The platform's patience is longer than the worker's own, which is the documented default."""
    grace = float(SERVICES["worker"]["environment"]["FACEMATCH_WORKER_SHUTDOWN_GRACE"])

    assert grace == WorkerSettings().shutdown_grace
    assert float(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) >= grace + 10


def test_every_image_has_one_exact_version() -> None:
    """No image changes under anybody's hands."""
    images = {service["image"] for service in SERVICES.values()}

    assert [image for image in images if not re.search(r":\d+\.\d+\.?\d*[\w.-]*$", image)] == []
    assert {image for image in images if image.startswith("facematch:")} == {
        f"facematch:{PROJECT['project']['version']}"
    }


def test_what_is_reachable_from_outside_is_so_from_this_machine_alone() -> None:
    """Published ports are bound to loopback."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(ports) > 0
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_image_has_the_oldest_supported_python_in_both_stages() -> None:
    """Builder and image are of one base, of the version that the types are checked for."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert len(set(bases)) == 1
    assert f":{PROJECT['tool']['mypy']['python_version']}-slim-" in bases[0]
    assert f'base.name="{bases[0]}"' in DOCKERFILE


def test_the_image_says_its_version() -> None:
    """The label is the project's version."""
    assert f'image.version="{PROJECT["project"]["version"]}"' in DOCKERFILE


def test_the_image_is_made_of_the_product_alone() -> None:
    """Every package of the wheel but the tools around it is copied, and nothing else is let into the build."""
    wanted = {*PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]} - {"infra"}
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    let_in = {line.removeprefix("!") for line in Path(".dockerignore").read_text().split() if line.startswith("!")}

    assert copied == wanted | {"LICENSE", "README.md", "pyproject.toml", "requirements.lock"}
    assert let_in == copied


def test_the_extra_that_the_guide_asks_for_is_one() -> None:
    """What the image can be built with by an argument is among the project's extras."""
    [extra] = re.findall(r"--build-arg EXTRAS=(\w+)", page("docs/how-to/run-in-a-container.md").text)
    assert "\nARG EXTRAS\n" in DOCKERFILE
    assert extra in PROJECT["project"]["optional-dependencies"]


def test_nothing_is_reported_to_anybody() -> None:
    """The statistics that ONNX Runtime and SeaweedFS would send are switched off."""
    assert image_environment()["ORT_DISABLE_TELEMETRY"] == "1"
    assert "-master.telemetry=false" in SERVICES["s3"]["command"]


def test_every_secret_that_is_named_is_made(made: Path) -> None:
    """What compose mounts exists, for nobody on this machine but its maker, and readable inside of a container."""
    files = [made / secret["file"] for secret in COMPOSE["secrets"].values()]

    assert [file for file in files if not file.read_text().strip()] == []
    assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o644}
    assert [
        CONTAINER / config["file"]
        for config in COMPOSE["configs"].values()
        if not (CONTAINER / config["file"]).is_file()
    ] == []


def test_passwords_are_random_and_made_once(made: Path) -> None:
    """No two are the same, and a second run changes none."""
    before = {file.name: file.read_text() for file in (made / "secrets").iterdir()}
    words = [text for name, text in before.items() if name.endswith(("_password", "_key"))]
    assert len(set(words)) == len(words) == 6
    assert {len(word.strip()) for word in words} == {48}

    subprocess.run(["sh", str(made / "make-secrets.sh")], check=True, capture_output=True)

    assert {file.name: file.read_text() for file in (made / "secrets").iterdir()} == before


def test_users_of_compose_are_known_to_the_servers() -> None:
    """Each service's NATS user has permissions, and the role that migrate lets in is the worker's."""
    known = set(re.findall(r"\{ user: (\w+),", Path("infra/nats/permissions.conf").read_text()))
    users = {service["environment"]["FACEMATCH_NATS_USER"] for service in (SERVICES["worker"], SERVICES["provision"])}

    assert users < known
    assert SERVICES["migrate"]["command"] == ["migrate", "--grant-to", "facematch_worker"]
