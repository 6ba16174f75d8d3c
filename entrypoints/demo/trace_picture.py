"""One job's trace as a picture: a bar for each span, as trace viewers draw it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from entrypoints.demo.span_tree import Row, rows
from infra.local_stack.otlp import ReceivedSpan

_ROW = 26
_NAMES, _BARS, _MARGIN = 380, 700, 16
_INDENT = 16
_LEAST_BAR = 2
_TICKS = 5
_PAPER, _INK, _FAINT, _LINE = "white", "#222222", "#777777", "#dddddd"
_COLOURS = ("#b5651d", "#2f6f9f", "#4d7c4d", "#7a5195")
"""Of services, in the order in which they appear."""


def draw(spans: Sequence[ReceivedSpan], target: Path) -> None:
    """Write the picture as PNG; times are milliseconds."""
    tree = rows(spans)
    services = list(dict.fromkeys(row.span.service for row in tree))
    colours = {service: _COLOURS[number % len(_COLOURS)] for number, service in enumerate(services)}
    until = max(row.at_ms + row.took_ms for row in tree) or 1.0
    picture = Image.new("RGB", (_NAMES + _BARS + 2 * _MARGIN, (len(tree) + 2) * _ROW + 2 * _MARGIN), _PAPER)
    pen = ImageDraw.Draw(picture)
    _legend(pen, spans[0].trace_id, colours)
    for tick in range(_TICKS + 1):
        x = _MARGIN + _NAMES + tick * _BARS / _TICKS
        anchor = "lm" if tick == 0 else "rm" if tick == _TICKS else "mm"
        pen.line((x, _MARGIN + 2 * _ROW, x, picture.height - _MARGIN), fill=_LINE)
        pen.text(
            (x, _MARGIN + 1.5 * _ROW), f"{tick * until / _TICKS:.0f} ms", _FAINT, ImageFont.load_default(13), anchor
        )
    for number, row in enumerate(tree):
        top = _MARGIN + (number + 2) * _ROW
        pen.line((_MARGIN, top, _MARGIN + _NAMES + _BARS, top), fill=_LINE)
        _bar(pen, row, top, _BARS / until, colours[row.span.service])
    picture.save(target)


def _legend(pen: ImageDraw.ImageDraw, trace_id: str, colours: dict[str, str]) -> None:
    font = ImageFont.load_default(14)
    middle = _MARGIN + _ROW / 2
    pen.text((_MARGIN, middle), f"trace {trace_id}", _INK, font, "lm")
    left = _MARGIN + _NAMES
    for service, colour in colours.items():
        pen.rectangle((left, middle - 6, left + 12, middle + 6), fill=colour)
        pen.text((left + 18, middle), service, _INK, font, "lm")
        left += 36 + round(font.getlength(service))


def _bar(pen: ImageDraw.ImageDraw, row: Row, top: int, per_ms: float, colour: str) -> None:
    font = ImageFont.load_default(14)
    middle = top + _ROW / 2
    pen.text((_MARGIN + 4 + row.depth * _INDENT, middle), row.span.name, _INK, font, "lm")
    left = _MARGIN + _NAMES + row.at_ms * per_ms
    right = max(left + row.took_ms * per_ms, left + _LEAST_BAR)
    pen.rectangle((left, top + 5, right, top + _ROW - 7), fill=colour)
    words = f"{row.took_ms:.1f} ms"
    fits = right + 8 + font.getlength(words) < _MARGIN + _NAMES + _BARS
    if fits:
        pen.text((right + 6, middle), words, _FAINT, font, "lm")
    elif left - font.getlength(words) - 8 > _MARGIN + _NAMES:
        pen.text((left - 6, middle), words, _FAINT, font, "rm")
    else:
        pen.text((right - 6, middle), words, _PAPER, font, "rm")
