"""Market-1501's folders and file names: Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015.

``bounding_box_train``, ``query`` and ``bounding_box_test`` hold files such as ``0002_c1s1_000451_03.jpg``: person 2,
camera 1, sequence 1, frame 451, box 3. Person 0 is a distractor, −1 is junk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_errors import DataError

__all__ = ["FOLDERS", "JUNK", "Crops", "read_market1501"]

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
JUNK = -1
_NAME = re.compile(r"(-?\d+)_c(\d)s(\d)_(\d{6})_(\d\d)\.jpg(?:\.jpg)?")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crops:
    """Images of people.

    Args:
        images: (N, 3, height, width), unsigned bytes.
        identities: (N,), the person in each image.
        cameras: (N,), the camera of each image.
    """

    images: np.ndarray
    identities: np.ndarray
    cameras: np.ndarray


def read_market1501(folder: Path, *, height: int, limit: int | None = None) -> dict[str, Crops]:
    """Return the crops of ``train``, ``query`` and ``gallery``, scaled to ``height`` × ``height / 2``.

    Args:
        folder: the set's folder, or the one that holds ``Market-1501-v15.09.15``.
        height: in pixels.
        limit: of the training crops, the first so many in an order that takes each person in turn.

    Raises:
        DataError: a folder is missing or holds no image with a Market-1501 name, or an image is damaged.
    """
    inner = folder / "Market-1501-v15.09.15"
    root = inner if inner.is_dir() else folder
    return {
        part: _read_folder(root / name, height, limit if part == "train" else None) for part, name in FOLDERS.items()
    }


def _read_folder(folder: Path, height: int, limit: int | None) -> Crops:
    if not folder.is_dir():
        raise DataError(f"{folder} is missing: Market-1501 has the folders {', '.join(FOLDERS.values())}")
    named = [(path, match) for path in sorted(folder.iterdir()) if (match := _NAME.fullmatch(path.name))]
    if not named:
        raise DataError(f"{folder} holds no image with a Market-1501 name, such as 0002_c1s1_000451_03.jpg")
    named = _each_person_in_turn(named)[:limit]
    return Crops(
        images=np.stack([_read_image(path, height) for path, _ in named]),
        identities=np.array([int(match[1]) for _, match in named]),
        cameras=np.array([int(match[2]) for _, match in named]),
    )


def _each_person_in_turn(named: list[tuple[Path, re.Match[str]]]) -> list[tuple[Path, re.Match[str]]]:
    seen: dict[str, int] = {}
    turns = []
    for path, match in named:
        turns.append((seen.setdefault(match[1], 0), path, match))
        seen[match[1]] += 1
    return [(path, match) for _, path, match in sorted(turns, key=lambda turn: turn[:2])]


def _read_image(path: Path, height: int) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((height // 2, height), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is not a JPEG image that can be read: {error}") from error
    return np.asarray(small).transpose(2, 0, 1)
