"""Build the image and prove that it works: hardened, on real servers, with a real photograph.

Needs podman, runc and mmdebstrap, and root, but neither Docker nor a hub: the base image is made of Debian's packages,
with Debian's Python 3.11 in the place of the official image's. Exit code 0: proven; 1: refuted; 77: could not be tried.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import attrs
import psycopg

from domain.errors import FacematchError
from infra.container.podman import TOOLS, CommandError, Podman, run
from infra.local_stack.process import free_port
from infra.local_stack.stack import LocalStack
from infra.photographs import Photographs

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = "localhost/facematch:check"
BASE: Final = "docker.io/library/python:3.11-slim-bookworm"
SKIPPED: Final = 77
_HARDENED: Final = (
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--pids-limit=512",
    "--memory=4g",
)
_PATIENCE_SECONDS: Final = 60.0
_CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_FORBIDDEN: Final = ("cc", "gcc", "g++", "c++", "clang", "make", "ld", "uv", "git")

# Runs inside: what is installed must be what facematch asks for, and no more; and no tool to build with.
_CONTENTS: Final = """
import importlib.metadata as metadata, json, shutil, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

def needs(name, extras):
    for text in metadata.requires(name) or []:
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonical(need.name), tuple(sorted(need.extras))

seen, todo = set(), [("facematch", ())]
while todo:
    if (item := todo.pop()) not in seen:
        seen.add(item)
        todo += needs(*item)
asked = {name for name, extras in seen}
there = {canonical(found.name) for found in metadata.distributions(path=[p for p in sys.path if "/opt/" in p])}
tools = [tool for tool in sys.argv[1:] if shutil.which(tool)]
print(json.dumps({"missing": sorted(asked - there), "not asked for": sorted(there - asked), "tools": tools}))
"""

# Runs inside: the graph of the recogniser is read from the image; to build it would import onnx.
_GRAPH: Final = """
import sys
from adapters.vision.pipelines import dlib_pipeline
from application.ports.face_pipeline import ImageBudget
dlib_pipeline(ImageBudget(max_bytes=1, max_pixels=1))
print("onnx" in sys.modules)
"""


class CannotTryError(FacematchError):
    """The machine lacks what the check needs."""


class RefutedError(FacematchError):
    """The image is not as it must be."""


def main() -> int:
    """Run the check and return the exit code."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--install", action="store_true", help="install missing tools with apt-get")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it wants it to clean up
    try:
        _require_tools(install=arguments.parse_args().install)
        with Podman() as podman:
            _check(podman)
    except CannotTryError as error:
        sys.stderr.write(f"SKIPPED, the image was not checked: {error}\n")
        return SKIPPED
    except FacematchError as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 1
    return 0


def _check(podman: Podman) -> None:
    with _step("base image from Debian's packages"):
        _make_base(podman)
    with _step("build"):
        _build(podman)
    with _step("what the image says of itself"):
        _check_configuration(podman)
    with _step("what is in it"):
        _check_contents(podman)
    photographs = Photographs.fetched()
    with LocalStack() as stack:
        with _step("mediapipe sees and embeds"):
            _check_mediapipe(podman, photographs)
        scene = _Scene.prepared(podman, stack)
        with _step("migrate, provision, enrol"):
            scene.facematch("migrate")
            scene.facematch("provision")
            user = scene.enrol(photographs.path("obama"))
        with _step("the worker, hardened, matches a photograph"):
            scene.start_worker()
            _check_process(podman, scene)
            scene.match(photographs.path("obama2"), user)
        with _step("SIGTERM ends it with 0"):
            _check_end(podman, scene)
    size = podman.inspect("image", IMAGE)["Size"] - podman.inspect("image", BASE)["Size"]
    sys.stdout.write(f"The image works; it adds {size / 1e6:.0f} MB to its base.\n")


def _require_tools(*, install: bool) -> None:
    if os.geteuid() != 0:
        raise CannotTryError("it needs root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and install and shutil.which("apt-get"):
        with _step(f"installing {', '.join(missing)}"):
            try:
                run(["apt-get", "update"], seconds=180)
                run(["apt-get", "install", "--yes", "--no-install-recommends", *missing], seconds=300)
            except CommandError as error:
                raise CannotTryError(str(error)) from error
    elif missing:
        raise CannotTryError(f"{', '.join(missing)}: not installed (with --install, apt-get installs them)")


def _make_base(podman: Podman) -> None:
    archive = podman.folder / "base.tar"
    python = 'ln --symbolic /usr/bin/python3 "$1/usr/local/bin/{0}"'
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates,python3,python3-venv"]
    command += ["--dpkgopt=force-unsafe-io"]
    command += [f"--customize-hook={python.format(name)}" for name in ("python", "python3")]
    try:
        run([*command, "bookworm", str(archive)], seconds=300)
    except CommandError as error:
        raise CannotTryError(str(error)) from error
    podman("import", "--quiet", str(archive), BASE, seconds=120)
    archive.unlink()


def _build(podman: Podman) -> None:
    command = ["build", "--pull=never", "--network=host", "--format=docker", "--tag", IMAGE]
    for certificates in filter(None, (_pip_setting("cert"), os.environ.get("SSL_CERT_FILE"), _CERTIFICATES)):
        if Path(certificates).is_file():
            command += ["--secret", f"id=ca,src={certificates}"]
            break
    if index := _pip_setting("index-url"):
        command += ["--build-arg", f"PIP_INDEX_URL={index}"]
    podman(*command, "--file", str(ROOT / "infra" / "container" / "Dockerfile"), str(ROOT), seconds=900)


def _pip_setting(name: str) -> str | None:
    """Return how this machine's pip is set, since the build's has to get its packages the same way."""
    try:
        return run([sys.executable, "-m", "pip", "config", "get", f"global.{name}"], seconds=60).strip()
    except CommandError:
        return os.environ.get(f"PIP_{name.upper().replace('-', '_')}")


def _check_configuration(podman: Podman) -> None:
    image = podman.inspect("image", IMAGE)
    config = image["Config"]
    health = image.get("Healthcheck") or config.get("Healthcheck") or {}  # here or there, by podman's version
    user, _, group = config["User"].partition(":")
    _expect("numeric user and group other than root", user.isdigit() and group.isdigit() and "0" not in {user, group})
    _expect("entry point in exec form", config["Entrypoint"] == ["facematch"] and config["Cmd"] == ["worker"])
    _expect("health check in exec form", health.get("Test") == ["CMD", "facematch", "healthcheck"])


def _check_contents(podman: Podman) -> None:
    contents = json.loads(_python(podman, _CONTENTS, *_FORBIDDEN))
    _expect(f"exactly the run-time packages and no tools to build with {contents}", not any(contents.values()))
    _expect("the recogniser's graph is in it", _python(podman, _GRAPH).strip() == "False")
    help_text = podman("run", "--rm", *_HARDENED, IMAGE, "--help")
    _expect(f"help that names what can be run\n{help_text}", "worker" in help_text and " demo " not in help_text)


def _python(podman: Podman, program: str, *arguments: str) -> str:
    command = ["run", "--rm", *_HARDENED, "--entrypoint=/opt/facematch/bin/python", IMAGE, "-c", program, *arguments]
    return podman(*command, seconds=_PATIENCE_SECONDS)


def _check_mediapipe(podman: Podman, photographs: Photographs) -> None:
    command = ["run", "--rm", *_HARDENED, "--env=FACEMATCH_EMBEDDER=mediapipe"]
    command += [f"--volume={photographs.path('obama')}:/photo.jpg:ro", IMAGE]
    command += ["inspect", "--json", "--with-embedding", "/photo.jpg"]
    seen = json.loads(podman(*command, seconds=_PATIENCE_SECONDS))
    _expect(f"one embedded face {seen['faces']}", [len(face["embedding"]) for face in seen["faces"]] == [128])


def _check_process(podman: Podman, scene: "_Scene") -> None:
    state = podman.inspect("container", scene.worker)["State"]
    process = Path("/proc") / str(state["Pid"])
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    _expect("no root", "0" not in status["Uid"].split() + status["Gid"].split())
    _expect("no capabilities", int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0)
    _expect("no new privileges", status["NoNewPrivs"] == "1")
    command = (process / "cmdline").read_bytes().split(b"\0")
    _expect(f"no shell around it {command}", any(word.endswith(b"/facematch") for word in command[:2]))
    podman("healthcheck", "run", scene.worker)


def _check_end(podman: Podman, scene: "_Scene") -> None:
    podman("kill", "--signal=TERM", scene.worker)
    code = podman("wait", scene.worker, seconds=_PATIENCE_SECONDS).strip()
    _expect(f"exit code 0, not {code}\n{scene.worker_log()}", code == "0")


@attrs.frozen
class _Scene:
    """The image on the servers of a local stack, with its secrets in files."""

    podman: Podman
    stack: LocalStack
    database: str
    options: tuple[str, ...]
    worker: str = "worker"

    @classmethod
    def prepared(cls, podman: Podman, stack: LocalStack) -> "_Scene":
        database = stack.postgres.create_database("check")
        stack.s3.client().make_bucket("images")
        secrets = podman.folder / "secrets"
        secrets.mkdir()
        options = [*_HARDENED, f"--volume={secrets}:/run/secrets:ro"]
        settings = {**stack.environment("check"), "FACEMATCH_HEALTH_ADDRESS": f"127.0.0.1:{free_port()}"}
        for name in ("FACEMATCH_DATABASE_URL", "FACEMATCH_S3_SECRET_KEY"):
            (secrets / name).write_text(settings.pop(name))
            settings[f"{name}_FILE"] = f"/run/secrets/{name}"
        options += [f"--env={name}={value}" for name, value in settings.items()]
        return cls(podman, stack, database, tuple(options))

    def facematch(self, *arguments: str, options: tuple[str, ...] = ()) -> str:
        """Run one command of the image to its end."""
        return self.podman("run", "--rm", *self.options, *options, IMAGE, *arguments, seconds=_PATIENCE_SECONDS)

    def enrol(self, photograph: Path) -> str:
        """Insert a user, enrol one and return the id."""
        user = self._insert("users")
        self.facematch("enroll", user, "/photo.jpg", options=(f"--volume={photograph}:/photo.jpg:ro",))
        return user

    def start_worker(self) -> None:
        """Return when it takes jobs."""
        self.podman("run", "--detach", f"--name={self.worker}", *self.options, IMAGE)
        command = ("exec", self.worker, "facematch", "healthcheck", "--ready")
        _wait(lambda: self._succeeds(*command), lambda: f"the worker is not ready:\n{self.worker_log()}")

    def match(self, photograph: Path, user: str) -> None:
        """Submit the photograph and expect the user on it."""
        photo, content = self._insert("photos"), photograph.read_bytes()
        self.stack.s3.client().put_object("images", "photo.jpg", BytesIO(content), len(content))
        self.facematch("submit", photo, "photo.jpg")
        _wait(lambda: self._succeeds("exec", self.worker, "facematch", "show", photo), self.worker_log)
        [job] = json.loads(self.podman("exec", self.worker, "facematch", "show", photo, "--json"))
        _expect(f"a match with {user}: {job}", (job["outcome"], job["user_id"]) == ("matched", user))

    def worker_log(self) -> str:
        """Return the end of what the worker said."""
        return self.podman("logs", "--tail=30", self.worker)

    def _insert(self, table: str) -> str:
        identity = str(uuid4())
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(f"INSERT INTO {table} (id) VALUES (%s)".encode(), [identity])  # noqa: S608 - our names
        return identity

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self.podman(*arguments)
        except CommandError:
            return False
        return True


def _wait(good: Callable[[], bool], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not good():
        if time.monotonic() > deadline:
            raise RefutedError(complaint())
        time.sleep(0.2)


def _expect(what: str, holds: Any) -> None:  # noqa: ANN401 - any truth value
    if not holds:
        raise RefutedError(f"expected {what}")


@contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    sys.stdout.write(f"{name} … ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        sys.stdout.write("\n")
        raise
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
