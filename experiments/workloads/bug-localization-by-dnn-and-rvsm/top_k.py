"""Top-k accuracy: the share of reports with a faulty file among the k highest scores."""

from __future__ import annotations

import numpy as np

__all__ = ["top_k_accuracy"]


def top_k_accuracy(reports: np.ndarray, scores: np.ndarray, matches: np.ndarray, k: int) -> float:
    """Return the share of reports, 0 to 1, with a match among their ``k`` best scores.

    Reports without any match do not count. Equal scores count against the match, so that a constant answer never wins.

    Args:
        reports: (N,), the report of each candidate.
        scores: (N,), higher is more suspicious.
        matches: (N,), true for a faulty file.
        k: 1 or more.
    """
    hits, counted = 0, 0
    for report in np.unique(reports):
        own = reports == report
        if not matches[own].any():
            continue
        best_match = scores[own & matches].max()
        hits += int((scores[own & ~matches] >= best_match).sum() < k)
        counted += 1
    return hits / counted
