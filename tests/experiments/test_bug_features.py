"""The loader of features.csv, the generated project, and top-k accuracy."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="the experiments extra is not installed")

from bug_features import read_features, write_features
from data_errors import DataError
from top_k import top_k_accuracy

TITLES = "report_id,file,rVSM_similarity,collab_filter,classname_similarity,bug_recency,bug_frequency,match"


def test_rows_come_back_as_written(tmp_path):
    """Reports are numbered in the order in which they first occur; the folder may be given instead of the file."""
    write_features(
        tmp_path / "features.csv", [("b7", "x.java", 0.5, 0, 0, 1, 3, 1), ("a1", "y.java", 0.25, 0, 0, 0, 0, 0)]
    )
    data = read_features(tmp_path)
    assert data.reports.tolist() == [0, 1]
    assert data.values[0].tolist() == [0.5, 0, 0, 1, 3]
    assert data.matches.tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "missing: bug_frequency"),
        (TITLES.replace("match", "label") + "\n", "missing: match"),
        (TITLES + "\n", "at least one row whose 'match' is 1"),
        (TITLES + "\n1,x,0,0,0,0,0,0\n", "at least one row whose 'match' is 1"),
        (TITLES + "\n1,x,high,0,0,0,0,1\n", "row 1: expected a number in 'rVSM_similarity', found 'high'"),
        (TITLES + "\n1,x,nan,0,0,0,0,1\n", "a finite number in 'rVSM_similarity'"),
        (TITLES + "\n1,x,0,0,0,0,0,2\n", "expected 0 or 1 in 'match', found 2"),
        (TITLES + "\n1,x,0\n", "found None"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    """The message names the file and what was expected."""
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=words) as raised:
        read_features(path)
    assert str(path) in str(raised.value)


def test_a_folder_without_the_file_names_it(tmp_path):
    """A wrong folder says which file was looked for."""
    with pytest.raises(DataError, match=r"features\.csv"):
        read_features(tmp_path)


def test_top_k_counts_reports():
    """Report 0 has its match in second place, report 1 in first; report 2 has none and does not count."""
    reports, scores = np.array([0, 0, 0, 1, 1, 2]), np.array([0.9, 0.5, 0.1, 0.8, 0.2, 0.7])
    matches = np.array([False, True, False, True, False, False])
    assert top_k_accuracy(reports, scores, matches, 1) == 0.5
    assert top_k_accuracy(reports, scores, matches, 2) == 1.0


def test_a_model_that_answers_the_same_everywhere_finds_nothing():
    """Equal scores count against the match."""
    assert top_k_accuracy(np.zeros(5), np.ones(5), np.array([1, 0, 0, 0, 0], bool), 4) == 0.0


def test_the_generated_project_is_hard_for_text_alone(tmp_path):
    """Similarity of the texts finds some files and misses most: there is something to learn."""
    pytest.importorskip("sklearn", reason="the experiments extra is not installed")
    from bug_reports import write_bug_reports

    write_bug_reports(tmp_path)
    data = read_features(tmp_path)
    assert data.reports.max() + 1 == data.matches.sum() == 200
    assert 0.1 < top_k_accuracy(data.reports, data.values[:, 0], data.matches, 1) < 0.5
