"""The standard protocol of Market-1501 (Zheng et al., ICCV 2015, section 5): rank-k and mean average precision.

For each query the gallery is sorted by similarity. Pictures of the same person by the same camera, and junk (−1), are
ignored; pictures of the same person by other cameras are right answers; all others, also distractors, are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from market1501 import JUNK

__all__ = ["RetrievalScores", "score_retrieval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScores:
    """Scores of a retrieval; shares are 0 to 1.

    Args:
        rank_1: share of queries whose best answer is right.
        rank_5: share of queries with a right one among the best five.
        mean_ap: mean average precision.
        queries: number of queries with at least one right answer; only these count.
    """

    rank_1: float
    rank_5: float
    mean_ap: float
    queries: int


def score_retrieval(
    similarity: np.ndarray,
    *,
    query_identities: np.ndarray,
    query_cameras: np.ndarray,
    gallery_identities: np.ndarray,
    gallery_cameras: np.ndarray,
) -> RetrievalScores:
    """Return the scores of a similarity matrix (queries, gallery); higher is more alike.

    Raises:
        ValueError: no query has a right answer in the gallery.
    """
    first_ranks, precisions = [], []
    for row, identity, camera in zip(similarity, query_identities, query_cameras, strict=True):
        same = gallery_identities == identity
        ignored = (same & (gallery_cameras == camera)) | (gallery_identities == JUNK)
        order = np.argsort(-row, kind="stable")
        right = same[order][~ignored[order]]
        if right.any():
            ranks = np.flatnonzero(right)
            first_ranks.append(ranks[0])
            precisions.append(_average_precision(ranks))
    if not first_ranks:
        raise ValueError("no query has a picture of the same person by another camera in the gallery")
    first = np.array(first_ranks)
    return RetrievalScores(
        rank_1=float((first < 1).mean()),
        rank_5=float((first < 5).mean()),
        mean_ap=float(np.mean(precisions)),
        queries=len(first),
    )


def _average_precision(ranks: np.ndarray) -> float:
    """Return the area under the precision-recall curve by trapezoids, as the set's own evaluation code does.

    Args:
        ranks: places of the right answers, from 0, ascending.
    """
    found = np.arange(1, len(ranks) + 1)
    after = found / (ranks + 1)
    before = np.where(ranks > 0, (found - 1) / np.maximum(ranks, 1), 1.0)
    return float(((before + after) / 2).mean())
