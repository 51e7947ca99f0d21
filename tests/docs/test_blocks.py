"""Every block of code in the documentation is run, or says why it is not; every name in it exists."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from page_blocks import LANGUAGES, Block, blocks_of, script_of

from pytest_parallel_energy.console.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "experiments" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "docs" / "llms.txt",
]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SCRIPTS = {page.relative_to(ROOT).as_posix(): script_of(blocks_of(page)) for page in PAGES}


def _place(block: Block) -> str:
    return f"{block.page.relative_to(ROOT).as_posix()}:{block.line}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page, script in SCRIPTS.items() if script])
def test_the_blocks_of_a_page_run(page, tmp_path):
    """In their order, in one empty folder, with the exit status that the page promises."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "work").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
    environment |= {
        "HOME": str(home),
        "COLUMNS": "100",
        "PYTEST_ENERGY_HOST_LOCK_DIR": str(tmp_path),
        "PYTEST_ENERGY_IDLE": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["bash", "-c", SCRIPTS[page]],
        cwd=tmp_path / "work",
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, f"{page}\n{done.stdout[-6000:]}"


@pytest.mark.parametrize("block", [pytest.param(block, id=_place(block)) for block in BLOCKS])
def test_a_block_has_valid_syntax(block):
    """Python, JSON, TOML, YAML and ini can be read, and each block names its language."""
    if block.language == "setup":
        return
    assert block.language in LANGUAGES, "name the language; plain output is 'text'"
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "ini":
        configparser.ConfigParser(interpolation=None).read_string(block.text)
    elif block.language == "yaml":
        list(pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load_all(block.text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_names_on_a_page_exist(page, pytestconfig):
    """Options and subcommands that a page names are those of the program."""
    text = page.read_text(encoding="utf-8")
    options = {f"--{name.replace('_', '-')}" for name in vars(pytestconfig.option)}
    assert {name.rstrip("-") for name in re.findall(r"--energy[a-z-]*", text)} <= options
    assert set(re.findall(r"(?:`|\$ |run: )pytest-parallel-energy ([a-z][a-z-]*)", text)) <= set(COMMANDS)


def test_a_block_that_is_not_run_says_why():
    """A reason is a sentence, not a word; a program without prompts has one, because it has no line that can be run."""
    assert not [_place(block) for block in BLOCKS if "not run" in block.note and len(block.reason.split()) < 3]
    programs = [block for block in BLOCKS if block.language in {"bash", "dockerfile"} and "$ " not in block.text[:2]]
    assert not [_place(block) for block in programs if not block.reason and not block.note.startswith("file ")]
    silent = [block for block in BLOCKS if block.language == "console" and not block.reason and "$ " not in block.text]
    assert not [_place(block) for block in silent]


def test_the_chinese_readme_has_the_blocks_and_headings_of_the_english_one():
    """Its code is not run a second time, because it is the same."""
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    code = [
        [(block.language, block.text) for block in blocks_of(page) if block.language != "setup"]
        for page in (english, chinese)
    ]
    assert code[0] == code[1]
    headings = [re.findall(r"^#+ ", page.read_text(encoding="utf-8"), re.MULTILINE) for page in (english, chinese)]
    links = [
        set(re.findall(r"\]\((?!README)([^)]+)\)", page.read_text(encoding="utf-8"))) for page in (english, chinese)
    ]
    assert headings[0] == headings[1]
    assert links[0] == links[1]


def test_the_readme_stays_short():
    """150 lines: what is longer belongs into the documentation."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
