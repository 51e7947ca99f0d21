"""Rank-k and mAP, by hand-counted cases of the standard protocol."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="the experiments extra is not installed")

from retrieval import score_retrieval


def score(gallery, *, query=(1, 1)):
    """One query against (identity, camera) pairs, given from the most alike to the least."""
    similarity = np.linspace(1, 0, len(gallery))[None]
    identities, cameras = np.array(gallery).T
    return score_retrieval(
        similarity,
        query_identities=np.array([query[0]]), query_cameras=np.array([query[1]]),
        gallery_identities=identities, gallery_cameras=cameras,
    )  # fmt: skip


def test_a_right_first_answer():
    """The best answer is the same person by another camera: everything is 1."""
    scores = score([(1, 2), (5, 2)])
    assert (scores.rank_1, scores.rank_5, scores.mean_ap, scores.queries) == (1, 1, 1, 1)


def test_the_same_camera_is_ignored():
    """Pictures of the same person by the same camera neither help nor hurt."""
    assert score([(1, 1), (1, 1), (1, 2), (5, 2)]).rank_1 == 1
    assert score([(1, 1), (5, 2), (1, 2)]).rank_1 == 0


def test_junk_is_ignored():
    """Junk above the right answer does not count against it."""
    assert score([(-1, 2), (-1, 3), (1, 2)]).mean_ap == 1


def test_a_distractor_is_a_wrong_answer():
    """Person 0 is nobody's match."""
    scores = score([(0, 2), (1, 2)])
    assert (scores.rank_1, scores.rank_5) == (0, 1)


def test_average_precision_by_trapezoids():
    """Right at places 1 and 4: ((1 + 1) / 2 + (1/3 + 2/4) / 2) / 2, as the set's evaluation code counts."""
    scores = score([(1, 2), (5, 2), (6, 2), (1, 3)])
    assert scores.mean_ap == pytest.approx((1 + (1 / 3 + 1 / 2) / 2) / 2)


def test_rank_5_counts_after_what_is_ignored():
    """The fifth place is the fifth that counts."""
    wrong = [(number, 2) for number in range(5, 9)]
    assert score([*wrong, (-1, 2), (1, 1), (1, 2)]).rank_5 == 1
    assert score([*wrong, (9, 2), (1, 2)]).rank_5 == 0


def test_a_query_with_nothing_to_find_does_not_count():
    """Without any right answer there is no score, rather than a score of 0."""
    with pytest.raises(ValueError, match="no query"):
        score([(1, 1), (5, 2)])
