"""The JSON schema of experiment files, for editors that complete and check while the user writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .keys import BACKGROUND, ENTRY, FOREGROUND, GLOBAL, TOP, FileKey

__all__ = ["experiment_schema", "experiment_schema_text"]

_PEOPLE = (
    "^(_|\\$|#)|comment|note|description|^(estimated|expected|target(?!_gpu_util)|created|updated|version|author|total)"
)


def experiment_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as a value."""
    defs = {
        name: _object(keys)
        for name, keys in (
            ("entry", ENTRY),
            ("foreground", FOREGROUND),
            ("background", BACKGROUND),
            ("global_settings", GLOBAL),
        )
    }
    entries = next(key.schema for key in TOP if key.name == "experiments")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiments of pytest-parallel-energy",
        "anyOf": [_object(TOP), dict(entries)],
        "$defs": defs,
    }


def experiment_schema_text() -> str:
    """Return the text of the schema file ``experiments/experiment.schema.json``."""
    return json.dumps(experiment_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(keys: Iterable[FileKey]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for key in keys:
        nullable = {"anyOf": [dict(key.schema), {"type": "null"}], "description": key.help}
        properties |= dict.fromkeys((key.name, *key.aliases), nullable)
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {_PEOPLE: True},
        "additionalProperties": False,
    }


if __name__ == "__main__":
    print(experiment_schema_text(), end="")  # noqa: T201 - how the file that is checked in is made
