"""The manifests for Kubernetes are right by themselves, fit image, settings and worker, and a worker runs by them."""

import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import psycopg
import pytest
import yaml
from jsonschema import Draft7Validator
from psycopg import sql

from adapters.nats_jetstream.jobs import pulling
from adapters.vision.processes.pool import PoolLimits
from application.running.worker import Worker
from entrypoints import service
from entrypoints.commands.doctor import Finding, encryption_findings
from entrypoints.configured import budget
from entrypoints.environment.variables import read, variables
from entrypoints.health import health_application
from entrypoints.settings import Settings
from infra.local_stack.nats import NatsServer
from tests.certificates import authority, needs_openssl
from tests.e2e.command import clean_environment, run_cli
from tests.e2e.world import WorkerProcess, World, eventually, make_world
from tests.guarded_nats import PASSWORDS, guarded_server, url
from tests.unit.docs.pages import page
from tests.unit.infra.test_container_files import DOCKERFILE, PROJECT, image_environment
from tests.unit.infra.test_dashboards import QUERIES, VALUES

KUBERNETES: Final = Path("infra/kubernetes")
BIN: Final = Path(sysconfig.get_path("scripts"))
SECRETS: Final = "/run/secrets/facematch"
KEDA: Final = KUBERNETES / "components/keda"
SCALED_OBJECT: Final = json.loads((KEDA / "scaled-object.schema.json").read_text())
GUIDE: Final = page("docs/how-to/run-in-kubernetes.md")
UNITS: Final = {"Mi": 1024**2, "Gi": 1024**3}
POSTGRES_PORT: Final = 5432
SHARED: Final = ("s3_access_key", "s3_secret_key", "database_url")
"""What the tests' operator uses of the worker's."""
OF_OUTAGES: Final = {"facematch_worker_not_ready"}
"""What no worker shows while it takes jobs."""
OF_PROMETHEUS: Final = {"up"}
"""What Prometheus itself knows of a worker."""
Manifest = dict[str, Any]


@attrs.frozen
class Build:
    """What Kustomize makes of a folder."""

    manifests: list[Manifest]

    def all(self, kind: str) -> list[Manifest]:
        """Return every manifest of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """Return the manifest of a kind, of that name where there are several."""
        [found] = [manifest for manifest in self.all(kind) if name in (None, manifest["metadata"]["name"])]
        return found

    @property
    def pods(self) -> dict[str, Manifest]:
        """Every template of pods, by the component that it is of."""
        owners = [*self.all("Deployment"), *self.all("Job")]
        owners += [owner["spec"]["jobTemplate"] for owner in self.all("CronJob")]
        templates = [owner["spec"]["template"] for owner in owners]
        return {template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in templates}

    @property
    def containers(self) -> dict[str, Manifest]:
        """The one container of each component."""
        found = {}
        for component, template in self.pods.items():
            [found[component]] = template["spec"]["containers"]
        return found

    def environment(self, component: str) -> dict[str, str]:
        """Return what the image and the manifests set for a component."""
        container, given = self.containers[component], image_environment()
        for source in container.get("envFrom", []):
            given |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return given | {entry["name"]: entry.get("value", "a-pod") for entry in container["env"]}

    def secret_keys(self, component: str) -> set[tuple[str, str]]:
        """Return secret and key of each file that a component's settings name."""
        [name] = [
            volume["secret"]["secretName"] for volume in self.pods[component]["spec"]["volumes"] if "secret" in volume
        ]
        paths = [value for value in self.environment(component).values() if value.startswith(f"{SECRETS}/")]
        return {(name, path.removeprefix(f"{SECRETS}/")) for path in paths}


def built(folder: str, below: Path = KUBERNETES) -> Build:
    """Build one of the folders."""
    done = subprocess.run([BIN / "kubectl", "kustomize", below / folder], capture_output=True, check=True)
    return Build(list(yaml.safe_load_all(done.stdout)))


@pytest.fixture(scope="module", params=["base", "example"])
def build(request: pytest.FixtureRequest) -> Build:
    """Return what is applied: the base, and the example with everything on top."""
    return built(request.param)


@pytest.fixture(scope="module")
def base() -> Build:
    """Return the base."""
    return built("base")


@pytest.fixture(scope="module")
def example() -> Build:
    """Return the example."""
    return built("example")


@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_manifests_are_valid(example: Build, version: str, tmp_path: Path) -> None:
    """Kubernetes' own schemas accept them, with nothing that they do not know; one wrong word is refused."""
    own = [manifest for manifest in example.manifests if manifest["kind"] != "ScaledObject"]
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(yaml.safe_dump_all(own))
    wrong.write_text(right.read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))

    results = [
        subprocess.run(
            [BIN / "kubernetes-validate", "--strict", "-k", version, file], capture_output=True, text=True, check=False
        )
        for file in (right, wrong)
    ]

    assert results[0].returncode == 0
    assert results[0].stdout.count(" passed ") == len(own)
    assert results[1].returncode == 1
    assert "'readOnlyRootFileSystem' was unexpected" in results[1].stdout + results[1].stderr


def test_the_scaled_object_is_what_keda_documents(example: Build) -> None:
    """Every field is known, and the schema refuses one that is not."""
    scaled = example.one("ScaledObject")
    Draft7Validator.check_schema(SCALED_OBJECT)
    schema = Draft7Validator(SCALED_OBJECT)

    assert [error.message for error in schema.iter_errors(scaled)] == []
    misspelt = {**scaled, "spec": {**scaled["spec"], "minReplicas": 1}}
    assert [error.message for error in schema.iter_errors(misspelt)] != []


def test_the_makefile_checks_against_the_oldest_version_that_the_guide_names() -> None:
    """One number, said three times."""
    [oldest] = re.findall(r"^OLDEST_KUBERNETES := (.+)$", Path("Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"needs Kubernetes (\S+) or newer", GUIDE.text) == [oldest] == ["1.31"]


def test_the_components_are_known(base: Build, example: Build) -> None:
    """What the other tests say of all pods, they say of these."""
    assert base.pods.keys() == {"worker", "migrate", "provision"}
    assert example.pods.keys() == base.pods.keys() | {"operator", "owner", "reconcile"}


@pytest.mark.parametrize("component", ["keda", "operator", "owner", "reconcile"])
def test_each_component_can_be_taken_out(component: str, example: Build, tmp_path: Path) -> None:
    """Taking its line out of the overlay is enough: the rest can be built, and nothing of it is left."""
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    overlay = tmp_path / "kubernetes" / "example" / "kustomization.yaml"
    line = f"  - ../components/{component}\n"
    assert line in overlay.read_text()
    overlay.write_text(overlay.read_text().replace(line, ""))
    left = built("example", below=tmp_path / "kubernetes")
    assert {manifest["kind"] for manifest in left.manifests} >= {"Deployment", "NetworkPolicy"}
    names = {manifest["metadata"]["name"] for manifest in left.manifests if manifest["kind"] != "ScaledObject"}
    assert f"facematch-{component}" not in names
    assert len(left.manifests) < len(example.manifests)


def test_pods_read_with_an_aws_role(example: Build, tmp_path: Path) -> None:
    """The component and the guide's patch leave no key, and a service account with a role; all else is as it was."""
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    overlay = tmp_path / "kubernetes" / "example" / "kustomization.yaml"
    written = yaml.safe_load(overlay.read_text())
    [patch] = [block for block in GUIDE.code("yaml") if "role-arn" in block]
    written["components"].append("../components/aws-role")
    written["patches"] += yaml.safe_load(patch)["patches"]
    overlay.write_text(yaml.safe_dump(written))

    changed = built("example", below=tmp_path / "kubernetes")

    keys = {"FACEMATCH_S3_ACCESS_KEY_FILE", "FACEMATCH_S3_SECRET_KEY_FILE"}
    for component in ("worker", "operator"):
        before, after = example.environment(component), changed.environment(component)
        assert after == {name: value for name, value in before.items() if name not in keys} | {
            "FACEMATCH_S3_CREDENTIALS": "aws"
        }
    [annotations] = [account["metadata"]["annotations"] for account in changed.all("ServiceAccount")]
    assert annotations.keys() == {"eks.amazonaws.com/role-arn"}


def test_lost_jobs_are_published_only_by_somebodys_decision(example: Build) -> None:
    """Its first run is about every photo there is: as shipped, it does not begin by itself."""
    assert example.one("CronJob")["spec"]["suspend"] is True


def test_pods_have_no_rights(build: Build) -> None:
    """They are what the Pod Security Standard *restricted* asks for, and cannot talk to Kubernetes."""
    [user, group] = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[0]
    for template in build.pods.values():
        pod = template["spec"]
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": int(user),
            "runAsGroup": int(group),
            "fsGroup": int(group),
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
        assert build.one("ServiceAccount", pod["serviceAccountName"])["automountServiceAccountToken"] is False
    for container in build.containers.values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for namespace in build.all("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_runs_the_projects_image(base: Build, example: Build) -> None:
    """One image for all of it, in the project's version; an overlay changes its name in one place."""
    version = PROJECT["project"]["version"]
    assert {container["image"] for container in base.containers.values()} == {f"facematch:{version}"}
    assert {container["image"] for container in example.containers.values()} == {
        f"registry.example/facematch:{version}"
    }


def test_pods_can_write_nowhere_but_to_what_is_limited(build: Build) -> None:
    """A file that grows ends the pod, not the node; secrets are for reading, by the group alone."""
    for component, template in build.pods.items():
        mounts = {mount["name"]: mount for mount in build.containers[component]["volumeMounts"]}
        assert mounts.keys() == {volume["name"] for volume in template["spec"]["volumes"]}
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
                assert mounts[volume["name"]] == {"name": volume["name"], "mountPath": SECRETS, "readOnly": True}
            else:
                assert volume["emptyDir"].keys() == {"sizeLimit"}
        assert "ephemeral-storage" in build.containers[component]["resources"]["limits"]


def test_only_settings_that_exist_are_set_and_secrets_are_files(build: Build) -> None:
    """A misspelt variable would be ignored in silence; nothing secret is in a manifest."""
    declared = {variable.name: variable.secret for variable in variables(Settings)}
    for component in build.pods:
        given = build.environment(component)
        ours = {name for name in given if name.startswith("FACEMATCH_")} - {"FACEMATCH_CACHE"}
        assert {name for name in ours if name.removesuffix("_FILE") not in declared} == set()
        for name in ours & declared.keys():
            assert not declared[name] or name == "FACEMATCH_NATS_URL"
        assert all(urlsplit(part).username is None for part in given.get("FACEMATCH_NATS_URL", "").split(","))
        assert {declared[name.removesuffix("_FILE")] for name in ours if name.endswith("_FILE")} == {True}
    assert build.all("Secret") == []


@needs_openssl
def test_encryption_is_switched_on_by_what_is_a_comment(base: Build, tmp_path: Path) -> None:
    """With the CA among the secrets of every pod, `doctor` has nothing to say of NATS and the object store any more."""
    switched = dict(
        re.findall(r"^#(FACEMATCH_\w+)=(.+)$", (KUBERNETES / "base/settings.env").read_text(), re.MULTILINE)
    )
    trusted = authority(tmp_path)
    assert set(switched.values()) == {"true", f"{SECRETS}/{trusted.certificate.name}"}
    given = base.environment("worker")
    servers = {name: given[name] for name in ("FACEMATCH_NATS_URL", "FACEMATCH_S3_ENDPOINT")}
    assert len(_encryption_of(servers)) == 2
    here = {name: value.replace(SECRETS, str(tmp_path)) for name, value in switched.items()}
    assert _encryption_of(servers | here) == []


def _encryption_of(given: Mapping[str, str]) -> list[Finding]:
    settings = read(Settings, given)
    return list(encryption_findings(settings.nats, settings.s3))


def test_every_secret_is_made_in_the_guide(base: Build, example: Build) -> None:
    """The commands make exactly the secrets, with the keys, that the pods read."""
    commands = " ".join(GUIDE.code("bash")).replace("\\\n", " ")
    made = {
        (name, key)
        for name, rest in re.findall(r"create secret generic (\S+)(.*)", commands)
        for key in re.findall(r"--from-file=(\w+)", rest)
    }
    assert made == {pair for component in example.pods for pair in example.secret_keys(component)}
    assert made > {pair for component in base.pods for pair in base.secret_keys(component)}


def test_a_changed_setting_rolls_the_workers(base: Build, example: Build) -> None:
    """The settings' name follows their content, and whoever reads them names them so."""
    names = []
    for build in (base, example):
        name = build.one("ConfigMap")["metadata"]["name"]
        for component in build.pods.keys() - {"migrate"}:
            assert build.containers[component]["envFrom"] == [{"configMapRef": {"name": name}}]
        names.append(name)
    assert re.fullmatch(r"facematch-settings-\w+", names[0])
    assert names[0] != names[1]


def test_probes_ask_what_a_worker_serves(build: Build) -> None:
    """Alive at the start and later by ``/livez``, ready by ``/readyz``, at the port that the settings name."""
    container = build.containers["worker"]
    application = health_application(service.Starting, lambda: ("", b""))
    served = {route.resource.canonical for route in application.router.routes() if route.resource}
    _, _, port = build.environment("worker")["FACEMATCH_HEALTH_ADDRESS"].rpartition(":")
    annotations = build.pods["worker"]["metadata"]["annotations"]

    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/livez", "port": "health"},
        "liveness": {"path": "/livez", "port": "health"},
        "readiness": {"path": "/readyz", "port": "health"},
    }
    assert {probe["path"] for probe in probes.values()} | {annotations["prometheus.io/path"]} == served
    assert container["ports"] == [{"name": "health", "containerPort": int(port)}]
    assert annotations["prometheus.io/port"] == port


def test_a_worker_has_time_to_settle(build: Build) -> None:
    """Even if everything takes as long as it may at the end, it is over before the pod is killed."""
    settings = read_settings(build, "worker", {})
    release = float(attrs.fields_dict(Worker)["release_grace"].default or 0)
    longest = pulling._DRAIN_SECONDS + settings.worker.shutdown_grace + 2 * release + service._CLOSING_SECONDS
    assert build.pods["worker"]["spec"]["terminationGracePeriodSeconds"] > longest


def test_a_worker_has_the_memory_and_the_cores_that_it_needs(build: Build) -> None:
    """Asked for is what was measured, allowed is what lets a process reach its own limit before the container's."""
    settings = read_settings(build, "worker", {})
    [(fixed, each)] = re.findall(
        r"allow (\S+) GB plus (\S+) GB for each vision process", page("docs/how-to/scale.md").text
    )
    processes, resources = settings.worker.processes, build.containers["worker"]["resources"]
    photographs = (settings.worker.jobs_in_hand + processes) * settings.vision.max_bytes
    measured = 1e9 * (float(fixed) + processes * float(each)) + photographs
    process = PoolLimits().memory_for(budget(settings.vision))
    allowed = 1e9 * float(fixed) + processes * process + photographs

    assert measured <= quantity(resources["requests"]["memory"]) <= 1.2 * measured
    assert allowed <= quantity(resources["limits"]["memory"]) <= 1.2 * allowed
    assert resources["requests"]["cpu"] == str(processes)


def test_exactly_the_servers_can_be_reached(build: Build) -> None:
    """Each component reaches what it talks to and names, on its port; the internet it does not reach."""
    settings = build.environment("worker")
    nats = {urlsplit(server).port for server in settings["FACEMATCH_NATS_URL"].split(",")}
    s3 = int(settings["FACEMATCH_S3_ENDPOINT"].rpartition(":")[2])
    otlp = urlsplit(settings["OTEL_EXPORTER_OTLP_ENDPOINT"]).port
    wanted = {
        None: {53},
        "worker": {*nats, POSTGRES_PORT, s3, otlp},
        "migrate": {POSTGRES_PORT},
        "provision": nats,
        "operator": {*nats, POSTGRES_PORT, s3},
        "owner": {POSTGRES_PORT},
        "reconcile": {*nats, POSTGRES_PORT},
    }

    allowed = {}
    for policy in build.all("NetworkPolicy"):
        labels = policy["spec"]["podSelector"]["matchLabels"]
        component = labels.get("app.kubernetes.io/component")
        assert labels["app.kubernetes.io/name"] == "facematch"
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        allowed[component] = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        for rule in policy["spec"]["egress"]:
            assert len(rule["ports"]) == (2 if component is None else 1)
            assert [peer for peer in rule["to"] if not is_inside(peer)] == []
            assert len(rule["to"]) > 0

    assert allowed == {component: wanted[component] for component in (None, *build.pods)}


def test_only_health_can_be_reached_and_only_by_monitoring(build: Build) -> None:
    """No other policy lets anybody in; probes come from the node."""
    entries = {policy["metadata"]["name"]: policy["spec"].get("ingress", []) for policy in build.all("NetworkPolicy")}
    [rule] = entries.pop("facematch-worker")
    assert rule == {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "ports": [{"protocol": "TCP", "port": "health"}],
    }
    assert all(rules == [] for rules in entries.values())


def test_selectors_find_the_workers(build: Build) -> None:
    """Deployment, budget and spread mean the same pods, and no job's."""
    labels = build.pods["worker"]["metadata"]["labels"]
    spread = build.pods["worker"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]
    selectors = [
        build.one(kind, "facematch-worker")["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")
    ]
    assert selectors == [spread] * 2
    assert spread["matchLabels"].items() <= labels.items()
    for component in build.pods.keys() - {"worker"}:
        others = build.pods[component]["metadata"]["labels"]
        assert not spread["matchLabels"].items() <= others.items()


def test_an_outage_keeps_no_node_from_being_emptied(build: Build) -> None:
    """Workers that are not ready do not count for the budget, which moves one at a time."""
    spec = build.one("PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_a_release_that_cannot_work_stops_no_worker(build: Build) -> None:
    """A new one must be ready before an old one is stopped."""
    assert build.one("Deployment", "facematch-worker")["spec"]["strategy"] == {
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}
    }


def test_keda_scales_the_workers_by_their_own_consumer(base: Build, example: Build) -> None:
    """It watches what the workers fetch from, alone decides how many there are, and leaves one."""
    spec = example.one("ScaledObject")["spec"]
    target = example.one("Deployment", "facematch-worker")
    settings = read_settings(example, "worker", {})
    [trigger] = spec["triggers"]
    hosts = {urlsplit(server).hostname or "" for server in settings.nats.urls}

    assert spec["scaleTargetRef"]["name"] == target["metadata"]["name"]
    assert "replicas" not in target["spec"]
    assert base.one("Deployment", "facematch-worker")["spec"]["replicas"] == spec["fallback"]["replicas"]
    assert (trigger["metadata"]["stream"], trigger["metadata"]["consumer"]) == (
        settings.nats.stream,
        settings.nats.durable,
    )
    assert spec["minReplicaCount"] == 1
    assert int(trigger["metadata"]["lagThreshold"]) > settings.worker.jobs_in_hand
    monitored, _, port = trigger["metadata"]["natsServerMonitoringEndpoint"].rpartition(":")
    assert all(host.endswith(monitored) for host in hosts)
    assert port == "8222"


def test_users_of_the_manifests_are_known_to_the_servers(build: Build) -> None:
    """Worker and operator are users of the shipped permissions, and the worker's role is the one that is let in."""
    known = set(re.findall(r"\{ user: (\w+),", Path("infra/nats/permissions.conf").read_text()))
    talk_to_nats = build.pods.keys() - {"migrate", "owner"}
    users = {name: build.environment(name)["FACEMATCH_NATS_USER"] for name in talk_to_nats}
    assert users == {name: "worker" if name == "worker" else "operator" for name in users}
    assert set(users.values()) <= known
    assert "role `facematch_worker`" in GUIDE.text
    assert build.containers["migrate"]["args"] == ["migrate", "--grant-to", "facematch_worker"]


@attrs.frozen
class Cluster:
    """Real servers, and the secrets that lead to them."""

    world: World
    servers: Mapping[str, str]
    files: Mapping[str, Path]
    role: str

    def environment(self, build: Build, component: str) -> dict[str, str]:
        """Return what a component is given, with these servers in place of those of the manifests."""
        given = build.environment(component)
        given |= {name: value for name, value in self.servers.items() if name in given}
        own = {name: text.replace(SECRETS, str(self.files[component])) for name, text in given.items()}
        return {name: text for name, text in own.items() if name.startswith("FACEMATCH_") and name != "FACEMATCH_CACHE"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Return a broker with the shipped users."""
    server = guarded_server(tmp_path_factory.mktemp("guarded") / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def cluster(
    example: Build, guarded: NatsServer, tmp_path: Path, s3_server: Any, database_url: str
) -> AsyncIterator[Cluster]:
    """Return servers with a role for the worker; nothing is migrated or provisioned yet."""
    role = f"worker_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), role))
    address = urlsplit(database_url)
    server = address.netloc.rpartition("@")[2]
    contents = {
        ("facematch-worker", "nats_password"): PASSWORDS["worker"],
        ("facematch-worker", "s3_access_key"): s3_server.access_key,
        ("facematch-worker", "s3_secret_key"): s3_server.secret_key,
        ("facematch-worker", "database_url"): address._replace(netloc=f"{role}:{role}@{server}").geturl(),
        ("facematch-owner", "database_url"): database_url,
        ("facematch-operator", "nats_password"): PASSWORDS["operator"],
    }
    contents |= {("facematch-operator", key): contents["facematch-worker", key] for key in SHARED}
    files = {}
    for component in example.pods:
        files[component] = tmp_path / component
        files[component].mkdir()
        for secret, key in example.secret_keys(component):
            (files[component] / key).write_text(contents[secret, key] + "\n")
    servers = {"FACEMATCH_NATS_URL": guarded.url, "FACEMATCH_S3_ENDPOINT": s3_server.endpoint}
    store = s3_server.client()
    if not store.bucket_exists("images"):
        store.make_bucket("images")
    auditor = {"FACEMATCH_NATS_URL": url(guarded, "auditor"), "FACEMATCH_DATABASE_URL": database_url}
    async with make_world(auditor, store, tmp_path) as world:
        yield Cluster(world, servers, files, role)


async def test_a_worker_runs_by_the_manifests(base: Build, example: Build, cluster: Cluster, tmp_path: Path) -> None:
    """The jobs prepare database and broker, the worker becomes ready and shows every metric that is asked for.

    A lost job is then published again, and the operator sees it waiting.
    """
    containers = base.containers
    for component in ("migrate", "provision"):
        arguments = [word.replace("facematch_worker", cluster.role) for word in containers[component]["args"]]
        done = run_cli(*arguments, **cluster.environment(base, component))
        assert (done.returncode, done.stderr) == (0, "")
    startup = containers["worker"]["startupProbe"]["httpGet"]["path"]
    metrics = base.pods["worker"]["metadata"]["annotations"]["prometheus.io/path"]
    photo = cluster.world.add_photo()
    cluster.world.put("by-the-manifests.jpg", b"no picture")

    worker = WorkerProcess(clean_environment() | cluster.environment(base, "worker"), tmp_path / "worker.log")
    try:
        worker.wait_ready()
        assert worker.get(startup)[0] == 200
        await cluster.world.publish({"photo_id": str(photo), "image_ref": "by-the-manifests.jpg"})
        [event] = await cluster.world.outcome_of(photo)
        assert event["reason"] == "unreadable_image"

        async def missing() -> set[str]:
            names = re.findall(r"^(\w+)[ {]", worker.get(metrics)[1], re.MULTILINE)
            asked = {s.name for query in QUERIES for s in query.selectors if s.name is not None}
            return asked - OF_PROMETHEUS - set(names)

        await eventually(missing, lambda names: names == OF_OUTAGES, "every metric but that of an outage")
        counted = re.findall(
            r'^facematch_outages_total\{dependency="([\w ]+)"\} 0.0$', worker.get(metrics)[1], re.MULTILINE
        )
        assert set(counted) == VALUES["dependency"]
        assert worker.stop() == 0
    finally:
        worker.stop()
    cluster.world.add_photo()
    arguments = [*example.containers["reconcile"]["args"], "--grace", "0"]
    done = run_cli(*arguments, **cluster.environment(example, "reconcile"))
    assert json.loads(done.stdout) | {"photos": 2, "answered": 1, "published": 1} == json.loads(done.stdout)
    done = run_cli("status", "--json", **cluster.environment(example, "operator"))
    assert json.loads(done.stdout)["queue"]["pending"] == 1
    done = run_cli("index", "--json", **cluster.environment(example, "owner"))
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def read_settings(build: Build, component: str, files: Mapping[str, str]) -> Settings:
    """Return the settings of a component; of secrets, those that ``files`` has by variable."""
    given = {name: value for name, value in build.environment(component).items() if not name.endswith("_FILE")}
    secrets = {"FACEMATCH_NATS_PASSWORD": "x"} if "FACEMATCH_NATS_USER" in given else {}
    return read(Settings, given | secrets | dict(files))


def quantity(text: str) -> int:
    """Return the bytes of an amount of memory."""
    return int(text[:-2]) * UNITS[text[-2:]]


def is_inside(peer: Manifest) -> bool:
    """Return whether a peer is a namespace of the cluster, or a range of private addresses."""
    if "ipBlock" in peer:
        return ip_network(peer["ipBlock"]["cidr"]).is_private
    return bool(peer["namespaceSelector"]["matchLabels"])
