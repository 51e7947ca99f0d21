"""Painted people seen by six cameras: a small learnable set in Market-1501's format.

A person has hair, skin, two pieces of clothing, a build and perhaps a bag. A camera has a backdrop, a gain and a
colour cast. Each picture moves the person a little. A network must learn to ignore the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from market1501 import FOLDERS, JUNK

__all__ = ["SET_NAME", "write_people"]

_HEIGHT, _WIDTH = 128, 64
_CAMERAS = 6
_TRAIN_PEOPLE, _TEST_PEOPLE = 48, 24
_PICTURES = 12
_DISTRACTORS, _JUNK_PICTURES = 18, 6
SET_NAME = f"market1501-people-v1-{_TRAIN_PEOPLE}-{_TEST_PEOPLE}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Person:
    hair: np.ndarray
    skin: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    bag: np.ndarray | None
    girth: float
    long_hair: bool
    striped: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Camera:
    backdrop: np.ndarray
    gain: np.ndarray


def write_people(folder: Path) -> None:
    """Write the three folders, with the same pictures every time."""
    rng = np.random.default_rng(1501)
    cameras = [_camera(rng) for _ in range(_CAMERAS)]
    for name in FOLDERS.values():
        (folder / name).mkdir()
    frame = 0
    for identity in range(1, _TRAIN_PEOPLE + _TEST_PEOPLE + 1):
        person = _person(rng)
        for picture in range(_PICTURES):
            camera = picture % _CAMERAS
            part = "train" if identity <= _TRAIN_PEOPLE else "query" if picture in {0, 3} else "gallery"
            frame += 1
            _save(folder / FOLDERS[part], identity, camera, frame, _picture(person, cameras[camera], rng))
    for identity, count in ((0, _DISTRACTORS), (JUNK, _JUNK_PICTURES)):
        for number in range(count):
            frame += 1
            camera = number % _CAMERAS
            _save(folder / FOLDERS["gallery"], identity, camera, frame, _picture(_person(rng), cameras[camera], rng))


def _person(rng: np.random.Generator) -> _Person:
    return _Person(
        hair=rng.uniform(0.05, 0.6) * np.array([1.0, rng.uniform(0.6, 0.9), rng.uniform(0.3, 0.8)]),
        skin=rng.uniform(0.4, 0.9) * np.array([1.0, 0.8, 0.65]),
        upper=rng.uniform(0.05, 0.95, 3),
        lower=rng.uniform(0.05, 0.95, 3),
        bag=rng.uniform(0.05, 0.95, 3) if rng.random() < 0.4 else None,
        girth=rng.uniform(0.8, 1.25),
        long_hair=bool(rng.random() < 0.4),
        striped=bool(rng.random() < 0.3),
    )


def _camera(rng: np.random.Generator) -> _Camera:
    colour, slope = rng.uniform(0.2, 0.8, (3, 1, 1)), rng.uniform(-0.2, 0.2, (3, 1, 1))
    backdrop = (
        colour
        + slope * np.linspace(-1, 1, _HEIGHT)[:, None]
        + rng.uniform(-0.08, 0.08, (3, _HEIGHT // 16, 1)).repeat(16, 1)
    )
    return _Camera(
        backdrop=np.broadcast_to(backdrop, (3, _HEIGHT, _WIDTH)),
        gain=rng.uniform(0.65, 1.15) * rng.uniform(0.85, 1.15, (3, 1, 1)),
    )


def _picture(person: _Person, camera: _Camera, rng: np.random.Generator) -> np.ndarray:
    """Return a picture as bytes (height, width, 3)."""
    zoom = rng.uniform(0.9, 1.1)
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    u = (x - _WIDTH / 2 + rng.uniform(-4, 4)) / (zoom * _WIDTH / 2)
    v = (y - _HEIGHT / 2 + rng.uniform(-6, 6)) / (zoom * _HEIGHT / 2)
    image = camera.backdrop.copy()
    for inside, colour in _parts(person, u, v, stride=rng.uniform(0.08, 0.3)):
        image[:, inside] = colour[:, None]
    image = image * camera.gain + rng.normal(0, 0.02, image.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def _parts(person: _Person, u: np.ndarray, v: np.ndarray, *, stride: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the mask and the colour of each part, from back to front; u and v run from −1 to 1 over the picture."""
    u = u / person.girth
    body = (np.abs(u) < 0.42) & (v > -0.6) & (v < 0.05)
    legs = (np.abs(np.abs(u) - stride) < 0.17) & (v >= 0.05) & (v < 0.9)
    head = np.hypot(u / 0.24, (v + 0.74) / 0.15) < 1
    hair = (np.hypot(u / 0.27, (v + 0.8) / 0.14) < 1) & (v < (-0.5 if person.long_hair else -0.78))
    parts = [(legs, person.lower), (body, person.upper)]
    if person.striped:
        parts.append((body & (np.floor(v * 14) % 2 == 0), 1 - person.upper))
    parts += [(head, person.skin), (hair, person.hair)]
    if person.bag is not None:
        parts.append(((u > 0.3) & (u < 0.65) & (v > -0.3) & (v < 0.1), person.bag))
    return parts


def _save(folder: Path, identity: int, camera: int, frame: int, pixels: np.ndarray) -> None:
    from PIL import Image

    number = f"{identity:04d}" if identity >= 0 else str(identity)
    Image.fromarray(pixels).save(folder / f"{number}_c{camera + 1}s1_{frame:06d}_01.jpg", quality=90)
