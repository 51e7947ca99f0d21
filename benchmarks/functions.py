"""Statistics of the functions, comments and docstrings of the package, now and at an older commit.

    python benchmarks/functions.py [--before f7a094f]

Lines of a function are its code lines: without docstring, comments and blank lines. A private helper is a function or
method whose name begins with one underscore; it counts as called once when its name occurs once in its module apart
from its definition.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import subprocess
import tarfile
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "pytest_parallel_energy"
LONG_LINES = 40
OPENINGS = ("What", "Whether", "Which", "Whose", "How", "From", "Who", "Where")
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
           tokenize.ENDMARKER}  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources_now() -> Iterator[str]:
    """Yield the text of each module of the working tree."""
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        yield path.read_text(encoding="utf-8")


def sources_at(commit: str) -> Iterator[str]:
    """Yield the text of each module at a commit of this repository."""
    archive = subprocess.run(["git", "archive", commit, PACKAGE], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            content = files.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                yield content.read().decode()


def code_and_comments(text: str) -> tuple[set[int], int]:
    """Return the numbers of the lines with code, and the number of comments other than directives for tools."""
    code, comments = set[int](), 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += not re.match(r"#\s*(noqa|type:|fmt:|pragma|!)", token.string)
        elif token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return code, comments


def docstring_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines of all docstrings, those of attributes included."""
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return {line for node in texts for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (text := ast.get_docstring(node)):
            yield text


def measure(sources: Iterable[str]) -> dict[str, str]:
    """Return the statistics by name, as text."""
    lengths: list[int] = []
    code_lines = comments = private = once = documented = riddles = 0
    for text in sources:
        tree = ast.parse(text)
        code, notes = code_and_comments(text)
        code -= docstring_lines(tree)
        code_lines, comments = code_lines + len(code), comments + notes
        functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
        lengths += [len(code & set(range(node.lineno, (node.end_lineno or 0) + 1))) for node in functions]
        names = Counter(node.id if isinstance(node, ast.Name) else node.attr
                        for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))  # fmt: skip
        helpers = [node.name for node in functions if node.name.startswith("_") and not node.name.startswith("__")]
        private, once = private + len(helpers), once + sum(names[name] == 1 for name in helpers)
        openings = [text.split(maxsplit=1)[0] for text in docstrings(tree)]
        documented, riddles = documented + len(openings), riddles + sum(word in OPENINGS for word in openings)
    return {
        "functions": f"{len(lengths)}",
        "mean length, lines": f"{statistics.mean(lengths):.1f}",
        "95th percentile of length, lines": f"{statistics.quantiles(lengths, n=20)[-1]:.0f}",
        "longer than 40 lines": f"{sum(length > LONG_LINES for length in lengths)}",
        "private helpers": f"{private / len(lengths):.0%} of all",
        "private helpers called once": f"{once / private:.0%} of them",
        "comments per 100 lines of code": f"{100 * comments / code_lines:.1f}",
        "docstrings that open with a question word": f"{riddles / documented:.1%} ({riddles} of {documented})",
        "lines of code": f"{code_lines}",
    }


def main() -> None:
    """Print both columns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="f7a094f", metavar="COMMIT", help="to compare with (default: %(default)s)")
    before = parser.parse_args().before
    old, new = measure(sources_at(before)), measure(sources_now())
    print(f"{'':42} {before:>18} {'now':>18}")
    for name, value in new.items():
        print(f"{name:42} {old[name]:>18} {value:>18}")


if __name__ == "__main__":
    main()
