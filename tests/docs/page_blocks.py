"""The code blocks of the documentation, and the shell script that runs those of one page in their order.

A comment on the line above a block says what is special about it; readers of the page do not see it:

``<!-- docs: not run: REASON -->``
    The block is only checked for its syntax.
``<!-- docs: collected, not run: REASON -->``
    A test is collected, which checks its markers and its workload, and is not run.
``<!-- docs: file NAME -->``
    The block is the content of this file.
``<!-- docs: status N -->``
    The last command of the block exits with this status.

A comment of several lines that begins with ``<!-- docs: setup`` holds commands that a reader has already run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NOT_RUN", "Block", "blocks_of", "script_of"]

NOT_RUN = {
    "accelerate": "needs PyTorch and several ranks; tests/fleet starts them",
    "apt-get": "needs root",
    "conda": "changes the reader's environment",
    "docker": "needs Docker",
    "git": "needs the address of a repository",
    "kubectl": "needs a cluster",
    "pip": "changes the reader's environment; .ci/run installs the package in the same ways",
    "sbatch": "needs Slurm; tests/fleet starts one",
    "srun": "needs Slurm; tests/fleet starts one",
    "sudo": "needs root",
    "torchrun": "needs PyTorch and several ranks; tests/fleet starts them",
    "mpirun": "needs several ranks; tests/fleet starts them",
}
"""Commands that no page's test runs, by their first word."""

LANGUAGES = frozenset({"bash", "console", "dockerfile", "ini", "json", "mermaid", "python", "text", "toml", "yaml"})
_FENCE = re.compile(
    r"(?:^<!-- docs: (?P<note>[^\n]*?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w*)(?P<attributes>[^\n]*)\n(?P<text>.*?)^(?P=indent)```"
    r"|^<!-- docs: setup\n(?P<setup>.*?)^-->",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page, or a hidden set-up (language ``setup``)."""

    page: Path
    line: int
    """Line of the block's first line in the page, from 1."""
    language: str
    text: str
    note: str = ""

    @property
    def reason(self) -> str:
        """The reason for which the block is not run; empty where it is run."""
        return self.note.partition("not run: ")[2]


def blocks_of(page: Path) -> list[Block]:
    """Return all blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _FENCE.finditer(text):
        line = text[: match.start()].count("\n") + 2
        if match["setup"] is not None:
            blocks.append(Block(page=page, line=line, language="setup", text=match["setup"]))
            continue
        body = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        blocks.append(
            Block(page=page, line=line, language=match["language"] or "", text=body, note=match["note"] or "")
        )
    return blocks


def script_of(blocks: list[Block]) -> str:
    """Return a script for bash that runs the blocks in the working directory; empty where nothing is to be run."""
    parts = [part for block in blocks for part in _part(block)]
    return "\n".join(["set -euo pipefail", *parts, ""]) if parts else ""


def _part(block: Block) -> Iterator[str]:
    title = f"printf '== %s\\n' {shlex.quote(f'{block.page.name}:{block.line}')}"
    if block.note.startswith("file "):
        yield f"{title}\n{_written(block.note.removeprefix('file ').strip(), block.text)}"
    elif block.language == "setup":
        yield f"{title}\n{block.text}"
    elif block.language == "python" and not block.note.startswith("not run"):
        is_test = "def test_" in block.text
        name = f"{'test_' if is_test else ''}block_{block.line}.py"
        command = f"pytest -q {name}" if is_test else f"python {name}"
        if block.note.startswith("collected"):
            command += " --collect-only"
        yield f"{title}\n{_written(name, block.text)}\n{command}"
    elif block.language in {"console", "bash"} and not block.reason:
        commands = _commands(block)
        if commands:
            yield "\n".join([title, *commands])


def _written(name: str, text: str) -> str:
    folder = shlex.quote(str(Path(name).parent))
    return f"mkdir -p {folder}\ncat > {shlex.quote(name)} <<'END-OF-BLOCK'\n{text}END-OF-BLOCK"


def _commands(block: Block) -> list[str]:
    commands = [
        command
        for command in re.findall(r"^\$ ((?:.*\\\n)*.*)", block.text, re.MULTILINE)
        if command.split(maxsplit=1)[0] not in NOT_RUN
    ]
    if commands and block.note.startswith("status "):
        status = block.note.removeprefix("status ").strip()
        last = commands.pop()
        commands.append(f"status=0; {{ {last}\n}} || status=$?\n[ $status = {status} ]")
    return commands
