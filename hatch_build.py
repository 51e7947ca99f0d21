"""The addresses of the project in its metadata, from the repository that builds it.

A fork then names itself and not another repository. Without ``PROJECT_REPOSITORY`` (an address such as
``https://HOST/OWNER/NAME``) there are none.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectAddresses(MetadataHookInterface):
    """Fills ``project.urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the addresses below the repository's."""
        repository = os.environ.get("PROJECT_REPOSITORY", "").rstrip("/")
        metadata["urls"] = (
            {
                "Repository": repository,
                "Documentation": f"{repository}/tree/main/docs",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
            if repository
            else {}
        )
