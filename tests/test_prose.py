"""The prose of the project: docstrings open with what is done, and pages cite only what a reader has."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUESTION_WORDS = {"What", "Whether", "Which", "Whose", "How", "From", "Who", "Where"}
# Split, so that this file does not contain what it looks for.
INTERNAL = re.compile(
    r"\b(?:ACCUR" r"ACY|SURF" r"ACE|DES" r"IGN|ST" r"YLE|HO" r"USE|SUPERV" r"ISION|WORKLO" r"ADS|FLE" r"ET|"
    r"DISTRIB" r"UTED)\b(?!=)|\bV(?:[1-9]|1[0-5])\b"
)  # fmt: skip
TEXTS = {".py", ".md", ".toml", ".c", ".js", ".css", ".json", ".yml", ".yaml"}


def python_files():
    return [path for folder in ("pytest_parallel_energy", "experiments") for path in (ROOT / folder).rglob("*.py")]


def openings():
    """Yield the first word of each docstring, with its place."""
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield text.split(maxsplit=1)[0], f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def prose_lines(path):
    """Yield the lines in which a reader finds prose, with their numbers: of Python files the comments and strings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def pages():
    folders = ("pytest_parallel_energy", "experiments", "benchmarks", "tests", "docs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    return [path for path in (*files, *ROOT.glob("*.md"), *ROOT.glob("*.toml")) if "__pycache__" not in path.parts]


def test_docstrings_open_with_what_is_done():
    """Fewer than 2 % of the docstrings open with a question word: PEP 257 asks for the imperative."""
    found = list(openings())
    wrong = [place for word, place in found if word in QUESTION_WORDS]
    assert len(wrong) < 0.02 * len(found), f"{len(wrong)} of {len(found)}: {', '.join(wrong)}"


def test_no_reference_to_documents_that_readers_do_not_have():
    """Code, tests and docs cite public sources and pages of this repository only."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in pages()
        for number, line in prose_lines(path)
        for match in INTERNAL.finditer(line)
    ]
    assert not wrong, f"{len(wrong)}: " + "\n".join(wrong)


def test_the_checks_can_fail():
    """The pattern finds the names of such documents and case numbers, and leaves ordinary words alone."""
    assert INTERNAL.search("budget, see DES" + "IGN §4")
    assert INTERNAL.search("case V" + "11 of the bench")
    assert not INTERNAL.search("design, NVML_V2, V100, VAR=1, V16")
