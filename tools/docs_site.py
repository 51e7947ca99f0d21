"""Hooks of MkDocs: pages that are generated from the code, from files at the top of the repository, and from a run."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # MkDocs loads a hook by its path, without the folder around it

_AT_THE_TOP = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}
_HOW_TO = "How-to guides"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the how-to guides that the navigation does not name."""
    section = next(entry[_HOW_TO] for entry in config.nav or () if _HOW_TO in entry)
    named = {path for entry in section for path in entry.values()}
    folder = Path(config.docs_dir)
    for page in sorted((folder / "how-to").glob("*.md")):
        path = page.relative_to(folder).as_posix()
        if path not in named:
            section.append({_title(page): path})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages and the demo report."""
    from tools.reference_pages import reference_pages

    pages = reference_pages() | {page: _without_repository_links(ROOT / source) for page, source in _AT_THE_TOP.items()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    files.append(File.generated(config, "demo/report.html", content=_demo_report()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    r"""Turn ``\|`` in the code of tables into a bar: GitHub needs the backslash, and Python-Markdown would show it."""

    def row(line: re.Match[str]) -> str:
        return re.sub(r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), line[0])

    return re.sub(r"^\|.*$", row, markdown, flags=re.MULTILINE)


def _title(page: Path) -> str:
    heading = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1] if heading else page.stem


def _without_repository_links(source: Path) -> str:
    """Return a page whose links to other files of the repository lead to pages of the site, or are plain text."""

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        if target.startswith(("http", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        page = next((page for page, name in _AT_THE_TOP.items() if name == target), None)
        return f"[{text}]({page})" if page else text

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", link, source.read_text(encoding="utf-8"))


def _demo_report() -> str:
    """Return the HTML report of the run that is kept in ``docs/demo/run``."""
    from pytest_parallel_energy.console.cli import main

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        arguments: list[Any] = ["report", str(ROOT / "docs" / "demo" / "run"), "--to", f"html:{page}"]
        if main([str(argument) for argument in arguments]) != 0:
            raise RuntimeError("the demo report could not be written")
        return page.read_text(encoding="utf-8")
