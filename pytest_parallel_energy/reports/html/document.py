"""The report as a document: page, style and script put together."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...records.codec import encode_value
from ..markdown import markdown_report
from ..report import Report
from .page import page_content

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["html_report"]

_HERE = Path(__file__).parent
_GLOBALS = "window.vegaEmbed = vegaEmbed;"
_NO_TEMPLATES = (
    "This is the plain form of the report. Tables that sort, and charts, need libraries: "
    "pip install jinja2 altair vl-convert-python"
)


def html_report(report: Report) -> str:
    """Return the page as text, complete in one file.

    Without Jinja2 it is a plain page with the Markdown report as text, which says what to install. Charts need Altair
    and vl-convert; without them the page says so and has all its tables. The extra ``report`` brings all three.
    """
    if importlib.util.find_spec("jinja2") is None:
        return _plain_page(report)
    from markupsafe import Markup

    content = page_content(report)
    data = content.pop("data")
    style = _own_file("report.css")
    scripts = [_bundle() if data["charts"] or data["traces"] else "", _own_file("report.js")]
    page = _environment().get_template("page.html.j2")
    # What is marked as safe is this package's own, Vega's, or JSON without any character that HTML knows.
    return page.render(
        **content,
        policy=_policy(style, scripts),
        style=Markup(style),  # noqa: S704
        scripts=[Markup(script) for script in scripts if script],  # noqa: S704
        data=Markup(_script_safe(encode_value(data).decode())),  # noqa: S704
    )


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _plain_page(report: Report) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy("", [])}">\n'
        f"<title>Energy: {html.escape(report.title)}</title>\n</head>\n<body>\n"
        f"<p>{html.escape(_NO_TEMPLATES)}</p>\n<pre>{html.escape(markdown_report(report))}</pre>\n</body>\n</html>\n"
    )


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Return the content security policy: nothing is fetched, and only this style and these scripts run.

    The hashes are those of Content Security Policy Level 3, section 8.3 (w3.org/TR/CSP3).
    """
    sources = " ".join(map(_source_hash, filter(None, scripts)))
    return (
        f"default-src 'none'; style-src {_source_hash(style)}; script-src {sources or chr(39) + 'none' + chr(39)}; "
        "img-src data: blob:; form-action 'none'; base-uri 'none'"
    )


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _own_file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@functools.cache
def _bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, without anything that would end its element."""
    import altair as alt
    import vl_convert

    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle(_GLOBALS, version)
    # Browsers turn CR LF and CR into LF before they compute a script's hash.
    return bundle.replace("</script", "<\\/script").replace("\r\n", "\n").replace("\r", "\\r")


def _script_safe(text: str) -> str:
    """Return JSON that cannot end the script element in which it stands."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
