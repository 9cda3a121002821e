"""Reads the commands of the pages with the parsers of their programs, and runs nothing."""

from __future__ import annotations

import argparse
import itertools
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from stream.cli.main import app
from stream.config.project import PROJECT_ROOT


class Read(BaseException):
    """The options of a program were read."""


@cache
def sentistream() -> Any:
    """The command line of the product."""
    return typer.main.get_command(app)


def options_of(words: list[str]) -> set[str]:
    """The options of a command and of the groups that it belongs to."""
    command: Any = sentistream()
    found = {"--help"}
    for word in words:
        if isinstance(command, TyperGroup) and word in command.commands:
            command = command.commands[word]
            found |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return found


def read_sentistream(arguments: list[str]) -> None:
    """Read the command line as the program does, and run nothing."""
    command: Any = sentistream()
    context = command.make_context("sentistream", list(arguments))
    while isinstance(command, TyperGroup):
        rest = [*context._protected_args, *context.args]
        if not rest:
            assert command.invoke_without_command
            return
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def read_python(arguments: list[str]) -> None:
    """Read the options of a module or script with its own parser."""
    is_module = arguments[0] == "-m"
    name, *options = arguments[1:] if is_module else arguments
    if name == "pytest":
        assert (PROJECT_ROOT / options[0]).is_file()
        return
    found = find_spec(name) if is_module else None
    source = Path(found.origin if found and found.origin else PROJECT_ROOT / name)
    if found and found.submodule_search_locations:
        source = source.with_name("__main__.py")
    if "arse" not in source.read_text(encoding="utf-8"):
        assert options == []
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *options])
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        run = runpy.run_module if is_module else runpy.run_path
        with pytest.raises(Read):
            run(name if is_module else str(source), run_name="__main__")


def parse_and_stop(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> NoReturn:
    unknown = parser.parse_known_args(arguments)[1]
    assert unknown == []
    raise Read


def read_make(arguments: list[str]) -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    assert [target for target in arguments if "=" not in target and not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def read_pip(arguments: list[str]) -> None:
    match arguments:
        case ["install", "-r", file]:
            assert (PROJECT_ROOT / file).is_file()
        case ["install", "--editable", what]:
            text = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert all(re.search(rf"^{extra} = \[", text, re.MULTILINE) for extra in what.strip(".[]").split(","))
        case _:
            raise AssertionError(arguments)


def read_docker(arguments: list[str]) -> None:
    """Files, profiles and services of Compose exist; what `docker run` starts is not ours."""
    if arguments[0] != "compose":
        return
    pairs = list(itertools.pairwise(arguments))
    files = [file for option, file in pairs if option == "-f"] or ["docker-compose.yml"]
    read = [yaml.load((PROJECT_ROOT / file).read_text(encoding="utf-8"), ComposeLoader)["services"] for file in files]
    services = {name: service or {} for found in read for name, service in found.items()}
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    assert {word for option, word in pairs if option == "--profile"} <= profiles
    if "run" in arguments:
        service = next(place for place, word in enumerate(arguments) if word in services)
        read_sentistream(arguments[service + 1 :])


class ComposeLoader(yaml.SafeLoader):
    """Knows the tags of Compose, such as ``!reset``."""


ComposeLoader.add_multi_constructor("!", lambda *_: None)


def read_script(arguments: list[str]) -> None:
    assert (PROJECT_ROOT / arguments[0]).is_file()


def read_java(arguments: list[str]) -> None:
    assert all((PROJECT_ROOT / word).is_file() for word in arguments if word.endswith((".js", ".java")) and "/" in word)


def nothing_of_ours(_: list[str]) -> None:
    """A tool of the system, or of a tool chain that `tests/integration/test_examples.py` uses."""


READERS: dict[str, Callable[[list[str]], None]] = {
    "sentistream": read_sentistream,
    "python": read_python,
    "make": read_make,
    "pip": read_pip,
    "docker": read_docker,
    "sh": read_script,
    "javac": read_java,
    "node": read_java,
    **dict.fromkeys(("cd", "curl", "export", "java", "mvn", "npm", "tail", "true"), nothing_of_ours),
}
