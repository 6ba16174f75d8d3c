"""Pieces of HTML; every text that goes in is escaped here, and nowhere else."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from domain.evaluation.proportions import Proportion


def text(tag: str, content: str, css: str = "") -> str:
    """Return an element with a text in it."""
    attribute = f' class="{css}"' if css else ""
    return f"<{tag}{attribute}>{escape(content)}</{tag}>"


def card(figure: str, meaning: str, detail: str, *, bad: bool = False) -> str:
    """Return a figure in large letters, what it means, and what it rests on."""
    return (
        f'<div class="card{" bad" if bad else ""}"><span>{escape(meaning)}</span>'
        f"<b>{escape(figure)}</b><small>{escape(detail)}</small></div>"
    )


def section(title: str, parts: Iterable[str]) -> str:
    """Return a part of the page with its heading."""
    return f"<section>{text('h2', title)}{''.join(parts)}</section>"


def picture(svg: str, alternative: str, caption: str) -> str:
    """Return a drawing, isolated from the page, so that names in one drawing mean nothing in another."""
    data = base64.b64encode(svg.encode()).decode()
    image = f'<img alt="{escape(alternative)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are made by :func:`cell`, :func:`share` or :func:`bar`."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def cell(content: str) -> str:
    """Return a cell with a text."""
    return text("td", content)


def share(value: Proportion, digits: int = 1) -> str:
    """Return a cell with a share and its interval."""
    if value.value is None:
        return cell("-")
    low, high = value.interval
    interval = f"{low * 100:.{digits}f}-{high * 100:.{digits}f}"
    return f"<td>{value.value:.{digits}%} <small>[{interval}]</small></td>"


def bar(value: Proportion, largest: float, digits: int = 1) -> str:
    """Return a cell with a share and its interval, and both drawn on a scale that ends at ``largest``."""
    if value.value is None:
        return cell("-")
    low, high = (100 * bound / largest for bound in value.interval)
    drawing = (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<line x1="0" y1="5" x2="100" y2="5" stroke="#dfe5e8" stroke-width="1"/>'
        f'<line x1="{low:.1f}" y1="5" x2="{high:.1f}" y2="5" stroke="#8fb6c9" stroke-width="4"/>'
        f'<line x1="{100 * value.value / largest:.1f}" y1="1" x2="{100 * value.value / largest:.1f}" y2="9" '
        'stroke="#0b6e99" stroke-width="2"/></svg>'
    )
    return share(value, digits).replace("</td>", f"{drawing}</td>")
