"""Generated C functions, half of them with a defect: the guard that makes the other half safe is missing or wrong.

The five kinds are entries of the Common Weakness Enumeration: unchecked index (CWE-129), off by one (CWE-193),
unchecked pointer (CWE-476), use after free (CWE-416) and format string (CWE-134). Names, types and the harmless
statements around the defect are drawn at random.
"""

from __future__ import annotations

import random

from defect_data import Functions

__all__ = ["draw_functions"]

_NAMES = ("buf", "data", "pkt", "node", "entry", "frame", "msg", "item", "ctx", "row", "blk", "seg")
_INDICES = ("i", "idx", "pos", "off", "k", "slot")
_SIZES = ("len", "size", "count", "limit", "nr_items", "max_rows")
_VERBS = ("parse", "read", "copy", "update", "handle", "decode", "flush", "init")
_TYPES = ("int", "char", "uint8_t", "short", "long")

# (safe body, body with the defect)
_KINDS = (
    ("if ({i} < 0 || {i} >= {n}) return -1; {p}[{i}] = value;", "{p}[{i}] = value;"),
    ("for (int {i} = 0; {i} < {n}; {i}++) {p}[{i}] = value;", "for (int {i} = 0; {i} <= {n}; {i}++) {p}[{i}] = value;"),
    (
        "{t} *copy = malloc({n}); if (copy == NULL) return -1; copy[0] = value;",
        "{t} *copy = malloc({n}); copy[0] = value;",
    ),
    ("value = {p}[0]; free({p}); return value;", "free({p}); value = {p}[0]; return value;"),
    ('printf("%s", (char *){p});', "printf((char *){p});"),
)
_FILLERS = (
    "/* {v} the {p} */",
    "value += {c};",
    "value = value * {c} + {n};",
    "if (value > {c}) value = {c};",
    "log_{v}(value);",
    "unsigned {q} = {c}; value ^= {q};",
    "while (value % {c} > 3) value--;",
)


def draw_functions(count: int, rng: random.Random) -> Functions:
    """Return ``count`` functions in random order; half of them have a defect."""
    labels = [number % 2 for number in range(count)]
    rng.shuffle(labels)
    return Functions(code=tuple(_function(rng, defect=bool(label)) for label in labels), labels=tuple(labels))


def _function(rng: random.Random, *, defect: bool) -> str:
    names = {
        "p": rng.choice(_NAMES), "q": rng.choice(_NAMES) + "_flags", "i": rng.choice(_INDICES), "n": rng.choice(_SIZES),
        "t": rng.choice(_TYPES), "v": rng.choice(_VERBS), "c": str(rng.randint(4, 99)),
    }  # fmt: skip
    before = rng.sample(_FILLERS, rng.randint(0, 3))
    after = rng.sample(_FILLERS, rng.randint(0, 2))
    lines = [*before, rng.choice(_KINDS)[defect], *after]
    body = "\n".join(f"    {line.format(**names)}" for line in lines)
    arguments = "{t} *{p}, int {i}, int {n}, int value".format(**names)
    return f"static int {names['v']}_{names['p']}({arguments})\n{{\n{body}\n    return 0;\n}}\n"
