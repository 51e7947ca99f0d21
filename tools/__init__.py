"""Programs that build the documentation; they are no part of the package."""
