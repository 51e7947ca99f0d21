"""Train a scikit-learn MLP that finds the source files to which a bug report belongs, from five features.

An own implementation after the repository emredogan7/bug-localization-by-dnn-and-rvsm (Lam et al. 2017): 300 hidden
units, stochastic gradient descent, alpha 1e-5, at most 10 000 iterations and 10 folds are the published values.
All candidates of a report are in the same fold, and the model that scores a report was not trained on it.
Without --data the script trains on a generated project.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from bug_features import BugFeatures, read_features
from bug_reports import SET_NAME, write_bug_reports
from data_cache import cached_folder
from flags import add_number, add_whole_number, script_parser
from plain_lines import say, say_applied, say_metrics
from run_setup import add_common_flags, run_main, set_up
from top_k import top_k_accuracy

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_PATIENCE_ITERATIONS = 30
_COPIES_OF_A_MATCH = 10


def main() -> None:
    arguments = build_parser().parse_args()
    setup = set_up(arguments)
    path = setup.data or cached_folder(SET_NAME, write_bug_reports, fallback=setup.output_dir)
    data = read_features(path)
    say(f"data: {'generated project' if setup.data is None else 'features'} in {path}")
    say(f"data: {data.reports.max() + 1} reports, {len(data.reports)} candidates")
    scores = _cross_validated(data, arguments)
    for k in (1, 5, 10, 20):
        say_metrics(**{f"top_{k}": top_k_accuracy(data.reports, scores, data.matches, k)})
    say_metrics(rvsm_top_1=top_k_accuracy(data.reports, data.values[:, 0], data.matches, 1))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; the defaults are the published values."""
    parser = script_parser(__doc__)
    add_whole_number(parser, "--kfold", default=10, about="folds of the cross-validation", least=2)
    add_number(parser, "--alpha", default=1e-5, about="L2 penalty")
    add_whole_number(parser, "--max_iter", default=10_000, about="largest number of passes over the training data")
    add_common_flags(parser, seed=42, data_variable="EXPERIMENTS_BUG_LOCALIZATION", uses_torch=False)
    return parser


def _cross_validated(data: BugFeatures, arguments: argparse.Namespace) -> np.ndarray:
    """Return a score for every candidate, from the model that was not trained on its report."""
    from sklearn.model_selection import GroupKFold

    scores, iterations = np.zeros(len(data.reports)), []
    folds = GroupKFold(n_splits=arguments.kfold, shuffle=True, random_state=arguments.seed)
    for number, (train, test) in enumerate(folds.split(data.values, groups=data.reports), 1):
        model = _fitted(data, train, arguments)
        if number == 1:
            say_applied(
                kfold=folds.get_n_splits(),
                alpha=model.named_steps["mlp"].alpha,
                max_iter=model.named_steps["mlp"].max_iter,
            )
        scores[test] = model.predict(data.values[test])
        iterations.append(model.named_steps["mlp"].n_iter_)
        say(f"fold {number}/{arguments.kfold}: {iterations[-1]} iterations, loss {model.named_steps['mlp'].loss_:.6f}")
    say_metrics(iterations=float(np.mean(iterations)))
    return scores


def _fitted(data: BugFeatures, rows: np.ndarray, arguments: argparse.Namespace) -> Pipeline:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler

    # one match among fifty: the published training repeats each match ten times
    matches = np.repeat(rows[data.matches[rows]], _COPIES_OF_A_MATCH - 1)
    rows = np.random.default_rng(arguments.seed).permutation(np.concatenate([rows, matches]))
    mlp = MLPRegressor(
        hidden_layer_sizes=(300,), solver="sgd", alpha=arguments.alpha, max_iter=arguments.max_iter,
        n_iter_no_change=_PATIENCE_ITERATIONS, random_state=arguments.seed,
    )  # fmt: skip
    model = Pipeline([("scale", MinMaxScaler()), ("mlp", mlp)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations used are printed for each fold
        model.fit(data.values[rows], data.matches[rows].astype(float))
    return model


if __name__ == "__main__":
    run_main(main)
