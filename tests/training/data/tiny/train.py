"""A training small enough for tests: logistic regression by stochastic gradient descent on generated points."""

import argparse
import json
import math
import os
import random
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-n", "--model", choices=["logistic", "linear"], required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--tag", default="plain")
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--shuffle", action="store_true")
parser.add_argument("--output-dir", type=Path)
parser.add_argument("--points", type=int, default=400)
parser.add_argument("--ignore-lr", action="store_true", help="train with 0.02 whatever was asked for")
parser.add_argument("--exit-code", type=int, default=0)
parser.add_argument("--silent", action="store_true")
parser.add_argument("--sleep", type=float, default=0)
arguments = parser.parse_args()

rate = 0.02 if arguments.ignore_lr else arguments.lr
print(f"config: epochs={arguments.epochs}")
print(f"config: learning_rate={rate!r}")
print(f"config: tag={arguments.tag}")
if arguments.output_dir:
    what = {"argv": sys.argv, "threads": os.environ.get("OMP_NUM_THREADS"), "cwd": str(Path.cwd())}
    (arguments.output_dir / "seen.json").write_text(json.dumps(what))
time.sleep(arguments.sleep)

rng = random.Random(arguments.seed)
points = [
    ((x := rng.gauss(0, 1)), (y := rng.gauss(0, 1)), float(x - 2 * y + rng.gauss(0, 0.3) > 0))
    for _ in range(arguments.points)
]
weights = [0.0, 0.0, 0.0]
for epoch in range(arguments.epochs):
    loss = right = 0.0
    for x, y, label in points:
        score = 1 / (1 + math.exp(-max(-30.0, min(30.0, weights[0] + weights[1] * x + weights[2] * y))))
        loss -= math.log(max(score if label else 1 - score, 1e-12))
        right += (score > 0.5) == bool(label)
        for index, feature in enumerate((1.0, x, y)):
            weights[index] += rate * (label - score) * feature / 10
    if not arguments.silent:
        print(f"epoch {epoch + 1}")
        print(f"train_loss: {loss / len(points)!r}")
        print(f"accuracy: {right / len(points)!r}", flush=True)
sys.exit(arguments.exit_code)
