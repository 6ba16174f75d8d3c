"""Settings from the environment."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import certifi
import pytest

from adapters.evaluation.calibration_file import write_calibration
from adapters.vision import registry
from domain.decision import FixedThreshold, SearchContext
from domain.evaluation.calibrating import MeasuredCalibration, MeasuredCurve
from entrypoints.configured import calibration, threshold_policy
from entrypoints.environment.variables import SettingsError, read, secrets_of, unknown, variables, without_password
from entrypoints.settings import Settings
from tests.certificates import Certificate, authority, needs_openssl
from tests.integration.nats.operator import Identity


def test_the_defaults_are_those_of_the_reference() -> None:
    """An empty environment gives the documented defaults."""
    settings = read(Settings, {})
    assert settings.nats.urls == ("nats://127.0.0.1:4222",)
    assert (settings.nats.ack_wait, settings.nats.max_deliver) == (30, 6)
    assert (settings.s3.endpoint, settings.s3.bucket, settings.s3.retry_attempts) == ("127.0.0.1:9000", "images", 3)
    assert (settings.vision.embedder, settings.vision.max_distance, settings.vision.target_fpir) == ("dlib", None, 0.01)
    assert (settings.vision.max_bytes, settings.vision.max_pixels) == (20 * 1024 * 1024, 60_000_000)
    assert (settings.worker.shutdown_grace, settings.worker.health_address) == (25, ("127.0.0.1", 8080))


def test_every_problem_is_told_at_once_by_full_name() -> None:
    """All wrong variables are listed, not only the first."""
    with pytest.raises(SettingsError) as caught:
        read(
            Settings,
            {
                "FACEMATCH_NATS_URL": "http://x",
                "FACEMATCH_NATS_ACK_WAIT": "soon",
                "FACEMATCH_MATCH_MAX_DISTANCE": "far",
                "FACEMATCH_HEALTH_ADDRESS": "8080",
                "FACEMATCH_WORKER_PROCESSES": "0",
                "FACEMATCH_S3_SECURE": "maybe",
                "FACEMATCH_NATS_DURABLE": "two words",
                "FACEMATCH_NATS_SUBJECT": "photo_faces.>",
            },
        )
    assert {problem.variable for problem in caught.value.problems} == {
        "FACEMATCH_NATS_URL",
        "FACEMATCH_NATS_ACK_WAIT",
        "FACEMATCH_MATCH_MAX_DISTANCE",
        "FACEMATCH_HEALTH_ADDRESS",
        "FACEMATCH_WORKER_PROCESSES",
        "FACEMATCH_S3_SECURE",
        "FACEMATCH_NATS_DURABLE",
        "FACEMATCH_NATS_SUBJECT",
    }


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        *(
            ("FACEMATCH_NATS_URL", url, "expected nats://host:port or tls://host:port, several separated by commas")
            for url in (",", "ws://h:80", "nats://h:4222,wss://h", "TLS://h:4222")  # those might be spoken to in clear
        ),
        ("FACEMATCH_HEALTH_ADDRESS", "127.0.0.1:8²", "expected host:port, such as 127.0.0.1:8080"),
        ("FACEMATCH_WORKER_PROCESSES", "--5", "expected a whole number from 1 to 1024"),
        ("FACEMATCH_NATS_RETRY_BASE_SECONDS", "0", "expected a number from 0.1 to 3600"),
        ("FACEMATCH_S3_ENDPOINT", "a b:1", "expected host:port, such as 127.0.0.1:8080"),
        ("FACEMATCH_S3_ENDPOINT", "-:1", "expected host:port, such as s3.example:9000"),
        ("FACEMATCH_S3_ENDPOINT", "a..b", "expected host:port, such as s3.example:9000"),
        ("FACEMATCH_S3_ENDPOINT", "h:0", "expected host:port, such as s3.example:9000"),
        ("FACEMATCH_S3_ENDPOINT", "[::x]", "expected host:port, such as s3.example:9000"),
        ("FACEMATCH_S3_ENDPOINT", "h:1/path", "expected host:port, such as 127.0.0.1:8080"),
        ("FACEMATCH_S3_ENDPOINT", "h/path", "expected host:port, without a path"),
        ("FACEMATCH_S3_REGION", "bad region!", "expected a word such as us-east-1"),
        ("FACEMATCH_S3_ALLOWED_BUCKETS", ",", "expected names of buckets, separated by commas"),
    ],
)
def test_what_is_nearly_right_is_refused_in_our_words(name: str, value: str, told: str) -> None:
    """A list of nothing, a digit that is none, and two signs."""
    with pytest.raises(SettingsError) as caught:
        read(Settings, {name: value})
    assert [(problem.variable, problem.message) for problem in caught.value.problems] == [(name, told)]


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "minio", "my_minio:9000", "s3.example.", "[::1]", "[::1]:9000"])
def test_servers_of_photographs_are_taken(endpoint: str) -> None:
    """Names of compose files, whole names and addresses, with a port or without."""
    assert read(Settings, {"FACEMATCH_S3_ENDPOINT": endpoint}).s3.endpoint == endpoint


@pytest.mark.parametrize(
    "bucket",
    [
        "Bad Bucket!",
        "ab",
        "a" * 64,
        "-photos",
        "photos_",
        "two..dots",
        "192.168.0.1",
        "ph\u017fotos",
        "a/b",
        "s3://photos",
    ],
)
def test_a_bucket_that_no_server_can_have_is_a_wrong_setting(bucket: str) -> None:
    """Every photograph in it would be told as missing; wherever it is named, also in a list."""
    given = {"FACEMATCH_S3_BUCKET": bucket, "FACEMATCH_S3_ALLOWED_BUCKETS": f"photos, {bucket}"}
    with pytest.raises(SettingsError) as caught:
        read(Settings, given)
    assert [problem.variable for problem in caught.value.problems] == list(given)
    assert all(problem.message.startswith("expected a bucket's name: ") for problem in caught.value.problems)


@pytest.mark.parametrize(
    "bucket", ["abc", "My_Photos", "photos.example.com", "tenant:photos", "1" * 63, "x-s3alias", "2024.01.02.03"]
)
def test_a_bucket_that_some_server_can_have_is_taken(bucket: str) -> None:
    """Old ones of Amazon's have capital letters and underscores, and so have those of others."""
    settings = read(Settings, {"FACEMATCH_S3_BUCKET": bucket, "FACEMATCH_S3_ALLOWED_BUCKETS": f"{bucket},"})
    assert (settings.s3.bucket, settings.s3.allowed_buckets) == (bucket, (bucket,))


@pytest.mark.parametrize("name", ["FACEMATCH_S3_ENDPOINT", "FACEMATCH_HEALTH_ADDRESS"])
def test_a_password_in_an_address_is_refused_and_not_shown(name: str) -> None:
    """There is another variable for it."""
    with pytest.raises(SettingsError, match=name) as caught:
        read(Settings, {name: "key:canary@h:1"})
    assert "canary" not in str(caught.value.problems)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/d",
        "host=h dbname=d",
        "postgresql://u:canary%@h/d",
        "postgresql://u:canary%zz@h/d",
        "postgresql://u:p@canary@h/d",
        "postgresql://u:canary/p@h/d",
        "postgresql://u:p?canary@h/d",
        "postgresql://u:canary,p/s@s@h/d",
    ],
)
def test_a_database_url_that_cannot_be_understood_is_refused(url: str) -> None:
    """It is told how to write it, and not what it holds."""
    with pytest.raises(SettingsError, match="FACEMATCH_DATABASE_URL") as caught:
        read(Settings, {"FACEMATCH_DATABASE_URL": url})
    assert "canary" not in str(caught.value.problems)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss%2F@a:1,b:2/d?sslmode=verify-full",
        "postgresql:///d?host=/run/postgresql",
        "postgres://%2Frun%2Fpostgresql/d",
        "postgresql://u:p@[::1]:5432,[::2]/d",
        "postgresql://h?application_name=a@b/c",
        "postgresql://u:a:b@h",
        "postgresql://",
    ],
)
def test_a_database_url_that_libpq_understands_is_taken(url: str) -> None:
    """Several hosts, sockets, addresses of IPv6, and odd signs where they are no part of a password."""
    assert read(Settings, {"FACEMATCH_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("search_path=canary", "search_path: no option of a connection"),
        ("sslmode=require&Connect_Timeout=5", "Connect_Timeout: no option of a connection"),
        ("ssl=false", "ssl: no option of a connection"),
        ("sslmode", "expected options such as ?sslmode=require"),
        ("canary=1@h/d", "expected options such as ?sslmode=require"),
        ("sslmode=canary", "sslmode: expected one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("target_session_attrs=canary", "target_session_attrs: expected one of any, "),
        ("connect_timeout=canary", "connect_timeout: expected a whole number"),
    ],
)
def test_an_option_of_the_database_url_that_is_none_is_told(options: str, told: str) -> None:
    """By its name, as a wrong setting, before anybody connects; what it holds may be a secret."""
    with pytest.raises(SettingsError) as caught:
        read(Settings, {"FACEMATCH_DATABASE_URL": f"postgresql://u@h/d?{options}"})
    [problem] = caught.value.problems
    assert problem.message.startswith(told)
    assert "canary" not in str(problem)


@pytest.mark.parametrize("options", ["sslmode=verify-full&connect_timeout=-1", "ssl=true", "options=-c%20a%3Db"])
def test_options_of_the_database_url_are_taken(options: str) -> None:
    """Those that libpq knows, however it came to know them."""
    url = f"postgresql://u@h/d?{options}"
    assert read(Settings, {"FACEMATCH_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"FACEMATCH_S3_ACCESS_KEY": "a"}, "FACEMATCH_S3_SECRET_KEY"),
        ({"FACEMATCH_S3_SECRET_KEY": "a"}, "FACEMATCH_S3_ACCESS_KEY"),
        ({"FACEMATCH_NATS_USER": "a"}, "FACEMATCH_NATS_PASSWORD"),
        ({"FACEMATCH_NATS_TLS_CERT": certifi.where()}, "FACEMATCH_NATS_TLS_KEY"),
    ],
)
def test_what_belongs_together_is_asked_for(given: dict[str, str], missing: str) -> None:
    """A key without its secret, a user without a password, a certificate without its key are wrong settings."""
    with pytest.raises(SettingsError) as caught:
        read(Settings, given)
    assert [problem.variable for problem in caught.value.problems] == [missing]


def test_keys_beside_a_role_are_wrong() -> None:
    """Nobody could tell which of them sign; a key without its partner is told once, as too much."""
    aws = {"FACEMATCH_S3_CREDENTIALS": "aws"}
    assert read(Settings, aws).s3.credentials == "aws"
    with pytest.raises(SettingsError) as caught:
        read(Settings, aws | {"FACEMATCH_S3_SECRET_KEY": "canary"})
    [problem] = caught.value.problems
    assert (problem.variable, "while FACEMATCH_S3_CREDENTIALS is aws" in problem.message) == (
        "FACEMATCH_S3_SECRET_KEY",
        True,
    )
    assert "canary" not in str(problem)


def test_a_missing_partner_is_told_beside_everything_else_that_is_wrong() -> None:
    """Wrong values, in this section or another, hide no missing partner; a wrong partner is told once, as wrong."""
    given = {
        "FACEMATCH_NATS_ACK_WAIT": "soon",
        "FACEMATCH_NATS_USER": "a",
        "FACEMATCH_NATS_TLS_CERT": certifi.where(),
        "FACEMATCH_NATS_TLS_KEY": "/nowhere/key.pem",
        "FACEMATCH_S3_ACCESS_KEY": "a",
        "FACEMATCH_S3_SECURE": "maybe",
    }
    with pytest.raises(SettingsError) as caught:
        read(Settings, given)
    assert sorted(problem.variable for problem in caught.value.problems) == [
        "FACEMATCH_NATS_ACK_WAIT",
        "FACEMATCH_NATS_PASSWORD",
        "FACEMATCH_NATS_TLS_KEY",
        "FACEMATCH_S3_SECRET_KEY",
        "FACEMATCH_S3_SECURE",
    ]


ANY = FixedThreshold(None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.3", FixedThreshold(0.3)), ("none", ANY), ("NONE", ANY), ("0", FixedThreshold(0.0)), ("", None)],
)
def test_the_largest_distance(text: str, expected: FixedThreshold | None) -> None:
    """A number is a distance, ``none`` is no limit, and nothing means the target FPIR."""
    assert read(Settings, {"FACEMATCH_MATCH_MAX_DISTANCE": text}).vision.max_distance == expected


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "2.1", "0,3"])
def test_a_distance_that_cannot_be_is_refused(text: str) -> None:
    """Cosine distances lie between 0 and 2."""
    with pytest.raises(SettingsError, match="FACEMATCH_MATCH_MAX_DISTANCE"):
        read(Settings, {"FACEMATCH_MATCH_MAX_DISTANCE": text})


def test_a_secret_can_be_a_file(tmp_path: Path) -> None:
    """``…_FILE`` names a file with the secret, whose trailing newline does not count."""
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    given = {"FACEMATCH_S3_ACCESS_KEY": "key", "FACEMATCH_S3_SECRET_KEY_FILE": str(path)}
    assert read(Settings, given).s3.secret_key == "s3cret"


def test_a_secret_given_twice_or_unreadable_is_a_problem(tmp_path: Path) -> None:
    """It is not guessed which of two secrets is meant, and a missing file is told by name."""
    with pytest.raises(SettingsError) as caught:
        read(
            Settings,
            {
                "FACEMATCH_S3_SECRET_KEY": "canary-one",
                "FACEMATCH_S3_SECRET_KEY_FILE": "/dev/null",
                "FACEMATCH_NATS_TOKEN_FILE": str(tmp_path / "missing"),
            },
        )
    assert len(caught.value.problems) == 2
    assert "canary-one" not in str(caught.value)
    assert all("canary-one" not in problem.value for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("FACEMATCH_MATCH_MAX_DISTNCE", "is FACEMATCH_MATCH_MAX_DISTANCE meant?"),
        ("FACEMATCH_NATS_USER_FILE", "has no effect"),
        ("FACEMATCH_HEALTH_PORT", "FACEMATCH_HEALTH_PORT is no setting"),
        ("FACEMATCH_WHATEVER", "FACEMATCH_WHATEVER is no setting and has no effect"),
    ],
)
def test_a_variable_that_nobody_reads_is_told(name: str, told: str) -> None:
    """A slip in a name would otherwise leave a strict threshold out of force."""
    [sentence] = unknown(Settings, {name: "0.01", "FACEMATCH_NATS_URL": "nats://x", "PATH": "/bin"})
    assert told in sentence
    assert "0.01" not in sentence


def test_what_others_set_is_no_slip() -> None:
    """The cache, files of secrets, and what Kubernetes tells of a service that is called facematch."""
    others = ("CACHE", "S3_SECRET_KEY_FILE", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP_ADDR")
    assert unknown(Settings, {f"FACEMATCH_{name}": "tcp://10.0.0.1:8080" for name in others}) == []


def test_secrets_are_not_in_the_settings_repr() -> None:
    """Printing the settings shows no secret."""
    settings = read(
        Settings,
        {
            "FACEMATCH_DATABASE_URL": "postgresql://u:canary@h/d",
            "FACEMATCH_NATS_USER": "user",
            "FACEMATCH_NATS_PASSWORD": "canary",
            "FACEMATCH_S3_ACCESS_KEY": "canary",
            "FACEMATCH_S3_SECRET_KEY": "canary",
        },
    )
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FACEMATCH_DATABASE_URL", "postgresql://u:canary@h/d"),
        ("FACEMATCH_DATABASE_URL", "postgresql://u@h/d?password=canary"),
        ("FACEMATCH_DATABASE_URL", "postgresql://u@h/d?sslpassword=canary"),
        ("FACEMATCH_NATS_URL", "nats://canary@h:4222"),
        ("FACEMATCH_NATS_URL", "tls://h:4222,tls://u:canary@h:4222"),
        ("FACEMATCH_NATS_TOKEN", "canary"),
    ],
)
def test_secrets_are_known_to_whoever_masks(variable: str, value: str) -> None:
    """Tokens and passwords, alone or in a URL, are among the texts that logs and spans must not show."""
    assert "canary" in secrets_of(read(Settings, {variable: value}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://h:4222", "nats://h:4222"),
        ("nats://u:canary@h:4222", "nats://u:***@h:4222"),
        ("nats://canary@h:4222", "nats://***@h:4222"),
        ("postgresql://u:canary@h/d?x=1", "postgresql://u:***@h/d?x=1"),
        ("https://canary:canary@h/", "https://***:***@h/"),
    ],
)
def test_passwords_are_cut_out_of_urls(url: str, shown: str) -> None:
    """A URL is shown without its password, and a NATS token in it counts as one."""
    assert without_password(url) == shown


def test_every_variable_is_declared_once_with_help() -> None:
    """Names are unique and each variable says what it is for."""
    declared = variables(Settings)
    assert len({variable.name for variable in declared}) == len(declared)
    assert all(variable.help and variable.name.startswith("FACEMATCH_") for variable in declared)


def a_calibration(path: Path, embedder: str = "dlib@2") -> str:
    """Write a calibration file and return its path as a setting."""
    curve = MeasuredCurve(1, 200, 19_900, ((1e-3, 0.05), (1e-1, 0.11)))
    write_calibration(path, MeasuredCalibration(embedder, (curve,)))
    return str(path)


def test_ones_own_calibration_replaces_the_embedders(tmp_path: Path) -> None:
    """The threshold follows what was measured, and below that the embedder's own distances, lowered."""
    settings = read(Settings, {"FACEMATCH_MATCH_CALIBRATION": a_calibration(tmp_path / "mine.json")})
    info = registry.load("dlib").info
    policy, usual = threshold_policy(settings.vision, info), threshold_policy(read(Settings, {}).vision, info)
    assert calibration(settings.vision, info).distance_at(1e-3) == 0.05
    for users in (20, 1_000, 100_000):
        tightened, ordinary = policy.threshold(SearchContext(users)), usual.threshold(SearchContext(users))
        assert tightened is not None
        assert ordinary is not None
        assert tightened < ordinary


def test_a_calibration_of_another_embedder_is_a_wrong_setting(tmp_path: Path) -> None:
    """Its distances mean nothing to this one; it is told beside everything else that is wrong."""
    given = {
        "FACEMATCH_MATCH_CALIBRATION": a_calibration(tmp_path / "mine.json", "other@3"),
        "FACEMATCH_S3_SECURE": "x",
    }
    with pytest.raises(SettingsError) as caught:
        read(Settings, given)
    told = {problem.variable: problem.message for problem in caught.value.problems}
    assert set(told) == {"FACEMATCH_MATCH_CALIBRATION", "FACEMATCH_S3_SECURE"}
    assert told["FACEMATCH_MATCH_CALIBRATION"].startswith("this file was measured with other@3")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read this file"),
        ("{}", "this file is no calibration made by `facematch calibrate`: required field"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path, content: str | None, told: str) -> None:
    """Missing, or something else."""
    if content is not None:
        (tmp_path / "mine.json").write_text(content)
    with pytest.raises(SettingsError, match=f"FACEMATCH_MATCH_CALIBRATION: {told}"):
        read(Settings, {"FACEMATCH_MATCH_CALIBRATION": str(tmp_path / "mine.json")})


@pytest.mark.parametrize("variable", ["FACEMATCH_NATS_CREDS", "FACEMATCH_S3_TLS_CA", "FACEMATCH_MATCH_CALIBRATION"])
def test_a_pipe_is_a_wrong_setting(tmp_path: Path, variable: str) -> None:
    """Nobody waits for what nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match=rf"{variable}: cannot read this file \(not a regular file\)"):
        read(Settings, {variable: str(tmp_path / "pipe")})


CERTIFICATES = "expected a file of whole certificates in PEM (-----BEGIN CERTIFICATE-----)"
CREDENTIALS = "expected a credentials file of NATS, with a user's JWT and nkey seed"
KEY = "expected a file with a private key in PEM (-----BEGIN PRIVATE KEY-----)"
JWT = "-----BEGIN NATS USER JWT-----\ncanary\n------END NATS USER JWT------\n"
SEED = "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n"


@pytest.mark.parametrize(
    ("variable", "content", "told"),
    [
        ("FACEMATCH_NATS_TLS_CA", "canary", CERTIFICATES),
        ("FACEMATCH_NATS_TLS_CA", "", CERTIFICATES),
        ("FACEMATCH_NATS_TLS_CERT", "canary", CERTIFICATES),
        ("FACEMATCH_NATS_TLS_KEY", "canary", KEY),
        ("FACEMATCH_S3_TLS_CA", "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n", CERTIFICATES),
        ("FACEMATCH_NATS_CREDS", "canary", CREDENTIALS),
        ("FACEMATCH_NATS_CREDS", JWT, CREDENTIALS),
        ("FACEMATCH_NATS_CREDS", SEED.format("canary"), CREDENTIALS),
        ("FACEMATCH_NATS_CREDS", JWT + SEED.format("canary"), CREDENTIALS),
    ],
)
def test_a_file_of_something_else_is_a_wrong_setting(tmp_path: Path, variable: str, content: str, told: str) -> None:
    """It would be waited for as for a server that is away; what it holds may be a secret of another kind."""
    file = tmp_path / "file"
    file.write_text(content)
    partners = {"FACEMATCH_NATS_TLS_CERT", "FACEMATCH_NATS_TLS_KEY"}
    with pytest.raises(SettingsError) as caught:
        read(Settings, {variable: str(file)})
    assert (variable, str(file), told) in caught.value.problems
    assert {problem.variable for problem in caught.value.problems} <= {variable, *partners}
    assert "canary" not in str(caught.value.problems)


@needs_openssl
def test_a_certificate_its_authority_and_who_somebody_is_are_taken(tmp_path: Path) -> None:
    """A certificate and its key may lie in one file, and an authority's also in a bundle."""
    own = authority(tmp_path)
    creds = tmp_path / "user.creds"
    creds.write_text(JWT + SEED.format(Identity("user").seed.decode()))
    given = {
        "FACEMATCH_NATS_CREDS": creds,
        "FACEMATCH_NATS_TLS_CA": own.certificate,
        "FACEMATCH_NATS_TLS_CERT": own.in_one_file(),
        "FACEMATCH_NATS_TLS_KEY": own.in_one_file(),
        "FACEMATCH_S3_TLS_CA": Path(certifi.where()),
    }
    settings = read(Settings, {name: str(file) for name, file in given.items()})
    nats = settings.nats
    assert [nats.creds, nats.tls_ca, nats.tls_cert, nats.tls_key, settings.s3.tls_ca] == list(given.values())


def _of_another(own: Certificate) -> Path:
    return authority(own.key.parent, "other").key


def _damaged(own: Certificate) -> Path:
    own.key.write_text("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n")
    return own.key


def _with_a_passphrase(own: Certificate) -> Path:
    locked = own.key.with_suffix(".locked")
    how = ("openssl", "pkey", "-in", str(own.key), "-out", str(locked), "-aes256", "-passout", "pass:canary")
    subprocess.run(how, check=True)
    return locked


@needs_openssl
@pytest.mark.parametrize("key_of", [_of_another, _damaged, _with_a_passphrase])
def test_a_key_that_does_not_open_its_certificate_is_a_wrong_setting(
    tmp_path: Path, key_of: Callable[[Certificate], Path]
) -> None:
    """No server would ever be reached with it, and nobody is asked for a passphrase."""
    own = authority(tmp_path)
    key = str(key_of(own))
    with pytest.raises(SettingsError) as caught:
        read(Settings, {"FACEMATCH_NATS_TLS_CERT": str(own.certificate), "FACEMATCH_NATS_TLS_KEY": key})
    told = "expected the private key of the certificate in PEM, without a passphrase (FACEMATCH_NATS_TLS_CERT)"
    assert caught.value.problems == [("FACEMATCH_NATS_TLS_KEY", key, told)]


@pytest.mark.parametrize("option", ["sslrootcert", "sslcert"])
def test_certificates_that_the_database_url_names_are_looked_at(tmp_path: Path, option: str) -> None:
    """A file of something else is a wrong setting; one that is not there may come, or is not needed."""
    file = tmp_path / "ca.pem"
    url = f"postgresql://u:canary@h/d?sslmode=verify-full&{option}={file}"
    assert read(Settings, {"FACEMATCH_DATABASE_URL": url}).database_url == url
    file.write_text("canary")
    with pytest.raises(SettingsError) as caught:
        read(Settings, {"FACEMATCH_DATABASE_URL": url})
    [problem] = caught.value.problems
    assert problem.message == f"{option}: {CERTIFICATES}"
    assert "canary" not in str(problem)
    file.write_bytes(Path(certifi.where()).read_bytes())
    assert read(Settings, {"FACEMATCH_DATABASE_URL": url}).database_url == url
