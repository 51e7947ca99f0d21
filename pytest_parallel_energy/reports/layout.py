"""Columns of text that fit a terminal. Width is counted in characters: only narrow ones are used."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import force_setattr

from ..errors import printable

__all__ = [
    "Column",
    "Line",
    "fit_columns",
    "format_interval",
    "format_number",
    "format_ratio",
    "format_share",
    "shorten",
    "shorten_apart",
    "wrap",
]

_DASH = "–"
_GAP = 2


class Line(Struct, frozen=True, kw_only=True):
    """One line for the terminal, no wider than was asked for where its words allow it."""

    text: str
    severity: str = "plain"
    """``head``, ``plain``, ``good``, ``warn`` or ``bad``: what the terminal reporter turns into colour."""

    def __post_init__(self) -> None:
        force_setattr(self, "text", printable(self.text))


class Column(Struct, frozen=True, kw_only=True):
    """One column: its head, one text per row, and whether it may leave the table for a line below its row."""

    head: str
    texts: tuple[str, ...]
    right: bool = True
    optional: bool = False
    wanted: bool = False
    """Whether rows take two lines, with the name on its own, before this column leaves the table."""
    below: bool = False
    """Whether its texts are too long for a column: in a terminal they always stand below their row."""

    width: int = 0
    """Characters of the widest text; computed."""

    def __post_init__(self) -> None:
        force_setattr(self, "width", max(map(len, (self.head, *self.texts))))

    def cell(self, text: str) -> str:
        """Return ``text`` padded to the column's width."""
        return text.rjust(self.width) if self.right else text.ljust(self.width)


def fit_columns(columns: Sequence[Column], width: int) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Return the columns that fit in ``width`` characters, and the others; the last optional one leaves first."""
    kept, moved = [c for c in columns if not c.below], [c for c in columns if c.below]
    while sum(column.width + _GAP for column in kept) > width:
        optional = [column for column in kept if column.optional]
        if not optional:
            break
        kept.remove(optional[-1])
        moved.insert(0, optional[-1])
    return tuple(kept), tuple(moved)


def shorten(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters (4 or more), cut in the middle: its ends tell cells apart.

    >>> shorten("test_resnet20_beside_vulberta", 15)
    'test_r...lberta'
    """
    if len(text) <= width:
        return text
    tail = (width - 3 + 1) // 2
    head = width - 3 - tail
    return f"{text[:head]}...{text[-tail:]}"


def shorten_apart(texts: Sequence[str], width: int) -> list[str]:
    """Return each text in at most ``width`` characters (16 or more), so that different texts stay different.

    Where cutting in the middle would make them equal, they are cut before the place at which they differ; where that is
    not enough, they are numbered.

    >>> shorten_apart([f"test_training[learning_rate={rate}-bg=VulBERTa/mlp]" for rate in (0.1, 0.25)], 24)
    ['...e=0.1-bg=...ERTa/mlp]', '...e=0.25-bg...ERTa/mlp]']
    """
    shortened = {text: shorten(text, width) for text in texts}
    groups: dict[str, list[str]] = {}
    for text, short in shortened.items():
        groups.setdefault(short, []).append(text)
    taken = set(groups)
    for alike in groups.values():
        if len(alike) == 1:
            continue
        columns = zip(*alike, strict=False)
        start = next((i for i, letters in enumerate(columns) if len(set(letters)) > 1), min(map(len, alike)))
        shown = ["..." + shorten(text[max(start - 4, 0) :], width - 3) for text in alike]
        if len(set(shown)) < len(alike) or not taken.isdisjoint(shown):
            shown = [shorten(text, width - 6) + f" #{number}" for number, text in enumerate(alike, 1)]
        taken.update(shown)
        shortened.update(zip(alike, shown, strict=True))
    return [shortened[text] for text in texts]


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Return ``text`` in lines of at most ``width`` characters, ``indent`` before each but the first."""
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False) or [""]


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a number in at most ``digits`` significant digits; unknown is a dash, and only 0 is written as 0.

    >>> format_number(0.97123), format_number(None), format_number(12345678.0)
    ('0.9712', '–', '1.235e+07')
    """
    return _DASH if value is None else f"{value:.{digits}g}"


def format_ratio(value: float | None) -> str:
    """Return a ratio with three digits behind a multiplication sign; unknown is empty.

    >>> format_ratio(1.7712), format_ratio(1.0), format_ratio(104.2), format_ratio(None)
    ('× 1.77', '× 1.00', '× 104', '')
    """
    if value is None:
        return ""
    return f"× {value:.2f}" if 0.1 <= value < 9.995 else f"× {value:.3g}"  # noqa: PLR2004 - three digits either way


def format_interval(
    value: float | None, u95: float | None, unit: str, ends: tuple[float | None, float | None] | None = None
) -> str:
    """Return a value with the half-width of its 95 % interval, both with the same prefix and decimals.

    The half-width keeps two significant digits and the value the same decimals (JCGM 100:2008, 7.2.6). An interval
    that is not symmetric is written with its ends, two significant digits each.

    >>> format_interval(1234.5, 41.3, "J"), format_interval(0.5, None, "J"), format_interval(None, None, "J")
    ('1.234 ± 0.041 kJ', '500 mJ ± –', '–')
    >>> format_interval(43.21, 48.0, "J", (20.3, 91.2))
    '43 (20 to 91) J'
    """
    if value is None:
        return _DASH
    if ends is not None and None not in ends:
        return _with_ends((value, ends[0] or 0.0, ends[1] or 0.0), unit)
    size = max(abs(value), abs(u95 or 0.0))
    prefix, factor = next(((p, f) for p, f in _PREFIXES if size >= f * 0.9995), _PREFIXES[-1] if size else ("", 1.0))
    if u95 is None:
        return f"{value / factor:.4g} {prefix}{unit} ± {_DASH}"
    scaled = u95 / factor
    decimals = _decimals(scaled) if scaled else 3
    text = f"{value / factor:.{decimals}f}"
    if value and not text.strip("-0."):  # far below its own interval, but not 0
        text = f"{value / factor:.1g}"
    return f"{text} ± {scaled:.{decimals}f} {prefix}{unit}"


def _with_ends(numbers: tuple[float, float, float], unit: str) -> str:
    prefix, factor = next(((p, f) for p, f in _PREFIXES if max(numbers) >= f * 0.9995), _PREFIXES[-1])
    value, low, high = (f"{float(f'{number / factor:.2g}'):g}" for number in numbers)
    return f"{value} ({low} to {high}) {prefix}{unit}"


def format_share(ratio: float | None) -> str:
    """Return a share in percent; 0 and 100 are written only for exactly 0 and 1.

    >>> format_share(0.984), format_share(0.9999), format_share(1.0), format_share(0.001), format_share(None)
    ('98 %', '>99 %', '100 %', '<1 %', '–')
    """
    if ratio is None:
        return _DASH
    rounded = f"{ratio * 100:.0f} %"
    if rounded == "100 %" and ratio != 1:
        return ">99 %" if ratio < 1 else ">100 %"
    return "<1 %" if rounded == "0 %" and ratio > 0 else rounded


_PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6))


def _decimals(half_width: float) -> int:
    """Return the decimals that leave two significant digits of ``half_width``, 0 to 6.

    >>> _decimals(0.041), _decimals(3.2), _decimals(320.0)
    (3, 1, 0)
    """
    exponent = int(f"{half_width:.1e}".partition("e")[2])
    return min(max(1 - exponent, 0), 6)
