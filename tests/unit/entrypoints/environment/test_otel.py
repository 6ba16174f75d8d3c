"""The standard variables of OpenTelemetry, looked at before its SDK reads them."""

import certifi
import pytest

from entrypoints.environment import otel
from entrypoints.environment.variables import SettingsError, read
from entrypoints.settings import Settings
from tests.unit.docs.pages import page

OTLP = "OTEL_EXPORTER_OTLP"
WRONG = {
    f"{OTLP}_ENDPOINT": "collector",
    f"{OTLP}_TRACES_ENDPOINT": "ftp://collector:4317",
    f"{OTLP}_PROTOCOL": "http/json",
    f"{OTLP}_METRICS_COMPRESSION": "zip",
    f"{OTLP}_TRACES_TIMEOUT": "soon",
    f"{OTLP}_INSECURE": "perhaps",
    f"{OTLP}_CERTIFICATE": "/no/such/file",
    "OTEL_TRACES_EXPORTER": "jaeger",
    "OTEL_SDK_DISABLED": "yes",
    "OTEL_TRACES_SAMPLER": "sometimes",
    "OTEL_TRACES_SAMPLER_ARG": "half",
    "OTEL_BSP_SCHEDULE_DELAY": "abc",
    "OTEL_BSP_MAX_QUEUE_SIZE": "-1",
    "OTEL_METRIC_EXPORT_INTERVAL": "-1",
    "OTEL_METRICS_EXEMPLAR_FILTER": "some",
    f"{OTLP}_METRICS_TEMPORALITY_PREFERENCE": "eternal",
    f"{OTLP}_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "heap",
    "OTEL_RESOURCE_ATTRIBUTES": "garbage",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "x",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "-1",
}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Each variable by its full name, in the table of the settings and after them."""
    with pytest.raises(SettingsError) as caught:
        read(Settings, {"FACEMATCH_LOG_LEVEL": "loud"}, otel.problems(WRONG))
    told = [problem.variable for problem in caught.value.problems]
    assert (told[0], set(told[1:]), len(told)) == ("FACEMATCH_LOG_LEVEL", set(WRONG), len(WRONG) + 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({f"{OTLP}_COMPRESSION": "deflate"}, [f"{OTLP}_COMPRESSION"]),
        ({f"{OTLP}_COMPRESSION": "deflate", f"{OTLP}_PROTOCOL": "http/protobuf"}, []),
        (
            {f"{OTLP}_METRICS_COMPRESSION": "Deflate", f"{OTLP}_TRACES_PROTOCOL": "http/protobuf"},
            [f"{OTLP}_METRICS_COMPRESSION"],
        ),
        ({f"{OTLP}_ENDPOINT": "collector:4318", f"{OTLP}_PROTOCOL": "http/protobuf"}, [f"{OTLP}_ENDPOINT"]),
        ({f"{OTLP}_ENDPOINT": "collector:4317"}, []),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3000"}, ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "3000", "OTEL_BSP_MAX_QUEUE_SIZE": "3000"}, []),
    ],
)
def test_values_that_do_not_go_together_are_told(given: dict[str, str], expected: list[str]) -> None:
    """Each of them would be right with another companion."""
    assert [problem.variable for problem in otel.problems(given)] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "²"}, ["OTEL_BSP_MAX_QUEUE_SIZE"]),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 5000}, ["OTEL_BSP_MAX_QUEUE_SIZE"]),
        ({f"{OTLP}_ENDPOINT": "http://collector:99999"}, [f"{OTLP}_ENDPOINT"]),
        ({f"{OTLP}_ENDPOINT": "http://[collector"}, [f"{OTLP}_ENDPOINT"]),
        ({f"{OTLP}_CERTIFICATE": __file__}, [f"{OTLP}_CERTIFICATE"]),
        ({f"{OTLP}_TRACES_CLIENT_CERTIFICATE": __file__}, [f"{OTLP}_TRACES_CLIENT_CERTIFICATE"]),
        ({f"{OTLP}_METRICS_CLIENT_KEY": __file__}, [f"{OTLP}_METRICS_CLIENT_KEY"]),
    ],
)
def test_odd_values_are_told_like_any_other(given: dict[str, str], expected: list[str]) -> None:
    """Numbers that are none, or endless, addresses that cannot be, and files of something else."""
    assert [problem.variable for problem in otel.problems(given)] == expected


def test_credentials_in_an_address_are_not_shown() -> None:
    """Also where a scheme is missing, which is what is wrong."""
    given = {f"{OTLP}_ENDPOINT": "bob:canary@collector:4318", f"{OTLP}_PROTOCOL": "http/protobuf"}
    assert "canary" not in str(list(otel.problems(given)))


@pytest.mark.parametrize("headers", ["canary", "a=b,canary", "two words=canary", "a=canary%0D%0A", "é=canary"])
def test_headers_that_cannot_be_sent_are_told_and_not_shown(headers: str) -> None:
    """The SDK would write them into the log, and go on without them."""
    [problem] = otel.problems({f"{OTLP}_TRACES_HEADERS": headers})
    assert problem.variable == f"{OTLP}_TRACES_HEADERS"
    assert "canary" not in str(problem)


def test_what_headers_say_is_secret_in_every_form() -> None:
    """Whole values, as they are written and as they are sent, and their words; short ones are no secrets."""
    given = {
        f"{OTLP}_HEADERS": "authorization=Bearer%20canary-one, x-tenant=short",
        f"{OTLP}_METRICS_HEADERS": "x-key=canary-two=",
    }
    assert set(otel.secrets_of(given)) == {"Bearer%20canary-one", "Bearer canary-one", "canary-one", "canary-two="}


def test_what_the_standard_allows_is_no_problem() -> None:
    """Nothing is wrong with usual values, nor with none."""
    good = {
        f"{OTLP}_ENDPOINT": "https://collector:4317/path",
        f"{OTLP}_PROTOCOL": "grpc",
        f"{OTLP}_COMPRESSION": "gzip",
        f"{OTLP}_TIMEOUT": "2.5",
        f"{OTLP}_HEADERS": "authorization=Bearer%20token",
        f"{OTLP}_CERTIFICATE": certifi.where(),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_SERVICE_NAME": "anything goes",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test, empty=,",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
        "OTEL_SDK_DISABLED": "",
    }
    assert list(otel.problems(good)) == list(otel.problems({})) == []


def test_every_variable_is_in_the_reference() -> None:
    """By its name, or by what stands behind the common beginning."""
    text = page("docs/reference/settings.md").text
    for variable in otel.VARIABLES:
        rest = variable.name.removeprefix(f"{OTLP}_")
        shared = rest.removeprefix("TRACES_").removeprefix("METRICS_")
        assert any(form in text for form in (variable.name, f"…_{rest}", f"…_{shared}")), variable.name
