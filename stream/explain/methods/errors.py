"""Errors of the explainers."""

from __future__ import annotations


class ExplainerMissingError(ImportError):
    """An explainer needs a library that is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"this explainer needs {library}: pip install 'sentistream[explain]'")
