"""What ``import stream`` offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pytest

import stream


@pytest.mark.parametrize("name", stream.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(stream, name)
    assert value is not None
    if isinstance(value, type):
        assert value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Pipeline'"):
        _ = stream.Pipeline


def test_the_package_says_that_it_is_typed() -> None:
    assert files("stream").joinpath("py.typed").is_file()


def test_importing_the_package_loads_no_client_library() -> None:
    """The sandbox's child processes import `stream`, and must start fast and without network code."""
    code = "import stream, sys; print(sorted({'redis', 'pydantic', 'msgspec', 'numpy'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
