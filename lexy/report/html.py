"""Parts of pages that stand alone: no script, font or picture from elsewhere, all foreign text escaped."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import quote

import numpy as np

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #595959; --line: #ccc; --faint: #e4e4e4; --bad: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a6a6a6; --line: #444; --faint: #2c2c2c; --bad: #ff8a80; }
  body { background: #161616; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); }
h1 { margin-bottom: 0; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: 0.5rem 2rem 1rem 0; display: inline-table; vertical-align: top; }
th, td { padding: 0.15rem 0.9rem 0.15rem 0; border-bottom: 1px solid var(--faint); text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; } .note { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
"""


def words(key: str) -> str:
    """Write a key as words, without underscores."""
    return key.replace("_", " ")


def text(value: Any) -> str:
    """Write a value as escaped text: numbers with separators, lists joined, – for None."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return "–" if value is None else escape(f"{value:g}" if isinstance(value, float) else str(value))


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a table; columns of numbers are aligned to the right."""
    numeric = [len(rows) > 0 and all(_is_number(row[at]) for row in rows) for at in range(len(header))]

    def cells(tag: str, values: Sequence[Any]) -> str:
        kinds = (' class="number"' if number else "" for number in numeric)
        return "".join(f"<{tag}{kind}>{text(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"


def tables(values: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Write a table of the plain values, then the tables of every mapping among them."""
    plain = [[words(key), value] for key, value in values.items() if not isinstance(value, Mapping)]
    if plain:
        yield table([name or "overall", ""], plain)
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from tables(value, " · ".join(filter(None, (name, words(key)))))


def picture(data: bytes, description: str, dark: bytes | None = None, kind: str = "png") -> str:
    """Embed a picture, with another in its place for readers who prefer dark pages."""
    image = f'<img alt="{escape(description)}" src="{_url(data, kind)}">'
    if dark is None:
        return image
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_url(dark, kind)}">{image}</picture>'


def section(title: str, content: str) -> str:
    """Write a section under its heading; `content` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def page(title: str, sections: Sequence[str], style: str = "", script: str = "") -> str:
    """Write the page; the browser runs and loads nothing but what is given here.

    Parameters
    ----------
    title : str
        Any text.
    sections : sequence of str
        HTML.
    style : str
        CSS after the house's own.
    script : str
        JavaScript that runs at the end of the page; the policy allows it by its hash, and no other.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    code = ""
    if script:
        policy += f"; script-src 'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"
        code = f"<script>{script}</script>"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(sections) + f"\n{code}</body></html>\n"
    )


def warnings(messages: Sequence[str]) -> str:
    """Write the list of warnings at the top of a page; '' without warnings."""
    if not messages:
        return ""
    points = "".join(f"<li>{escape(warning)}</li>" for warning in messages)
    return f'<section class="warnings"><p class="bad">Read this first</p><ul>{points}</ul></section>'


def files(names: Mapping[str, str]) -> str:
    """Write links to files beside the page, with a description of each."""
    if not names:
        return ""
    rows = "".join(f"<li>{link(name)}: {escape(what)}</li>" for name, what in names.items())
    return section("Files beside this page", f"<ul>{rows}</ul>")


def link(name: str) -> str:
    """Write a link to a file in the folder of the page; whatever its name, it cannot lead elsewhere."""
    return f'<a href="./{escape(quote(name))}">{escape(name)}</a>'


def interval(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval, as far as they are known."""
    known = f" ({digits(low)} to {digits(high)})" if np.isfinite([low, high]).all() else ""
    return f"{digits(mean)}{known}" if np.isfinite(mean) else "–"


def digits(value: float) -> str:
    """Write a number with three significant digits, from 100 on without decimals or powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer) and not isinstance(value, bool)
