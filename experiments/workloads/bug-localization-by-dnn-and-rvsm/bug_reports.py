"""A generated project with a history of bug reports, and the five features computed from it as the papers do.

Each source file has words that it shares with a few others, a class name, and a chance of being buggy. A report
borrows words from the faulty file, from others, and from everyday language; the features of a later report depend on
the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bug_features import write_features

__all__ = ["SET_NAME", "write_bug_reports"]

_FILES = 60
_REPORTS = 200
_WRONG_FILES = 40
_REPORTS_A_MONTH = 8
SET_NAME = f"bug-reports-v3-{_FILES}-{_REPORTS}"
_SYLLABLES = ("ba", "co", "di", "fe", "gu", "ka", "lo", "mi", "nu", "po", "ra", "se", "ti", "vo", "wi", "zu")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    text: str
    file: int
    month: int


def write_bug_reports(folder: Path) -> None:
    """Write ``features.csv`` of the generated project: each report with its file and with wrong ones."""
    rng = np.random.default_rng(300)
    names = [f"{_word(rng).title()}{_word(rng).title()}" for _ in range(_FILES)]
    topics = [_word(rng) for _ in range(150)]
    words = [[str(word) for word in rng.choice(topics, 12, replace=False)] for _ in range(_FILES)]
    common = [_word(rng) for _ in range(60)]
    reports = _history(names, words, common, rng)
    sources = [" ".join([*rng.choice(words[file], 80), *rng.choice(common, 80), names[file]]) for file in range(_FILES)]
    rows = []
    for number, report in enumerate(reports):
        wrong = rng.permutation([file for file in range(_FILES) if file != report.file])[:_WRONG_FILES]
        candidates = [report.file, *(int(file) for file in wrong)]
        for file, features in zip(
            candidates, _features(report, reports[:number], candidates, sources, names), strict=True
        ):
            row = (f"{number + 1:04d}", f"src/{names[file]}.java", *features, int(file == report.file))
            rows.append(row)
    write_features(folder / "features.csv", rows)


def _history(names: list[str], words: list[list[str]], common: list[str], rng: np.random.Generator) -> list[_Report]:
    # a few files have most of the bugs: weights 1/1, 1/2, 1/3 …
    weights = 1 / np.arange(1, _FILES + 1)
    reports = []
    for number in range(_REPORTS):
        file, other = (int(index) for index in rng.choice(_FILES, 2, replace=False, p=weights / weights.sum()))
        text = [*rng.choice(words[file], 2), *rng.choice(words[other], 2), *rng.choice(common, 24)]
        if rng.random() < 0.2:
            text.append(names[file])
        reports.append(_Report(text=" ".join(text), file=file, month=number // _REPORTS_A_MONTH))
    return reports


def _features(
    report: _Report, earlier: list[_Report], candidates: list[int], sources: list[str], names: list[str]
) -> list[tuple[float, ...]]:
    """Return the five features of each candidate for one report, in the file's order."""
    before = [[old for old in earlier if old.file == file] for file in candidates]
    texts = _similarities(report.text, [sources[file] for file in candidates])
    history = _similarities(report.text, [" ".join(old.text for old in some) for some in before])
    classes = _similarities(report.text, [names[file] for file in candidates])
    recency = [1 / (report.month - some[-1].month + 1) if some else 0.0 for some in before]
    return [
        (round(text, 6), round(past, 6), round(name, 6), round(recent, 6), len(some))
        for text, past, name, recent, some in zip(texts, history, classes, recency, before, strict=True)
    ]


def _similarities(text: str, documents: list[str]) -> list[float]:
    """Return the cosines of the TF-IDF vectors of one text and each document, 0 to 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer().fit_transform([text, *documents])
    return [float(value) for value in (vectors[1:] @ vectors[0].T).toarray()[:, 0]]


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(_SYLLABLES, rng.integers(2, 4)))
