"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import typer.main

from stream.cli.errors import CommandError
from stream.cli.main import app
from stream.cli.options import parse_channels


@pytest.mark.parametrize(
    ("text", "names"), [(None, ()), ("agent", ("agent",)), ("agent, customer", ("agent", "customer")), ("-,agent", ("-", "agent"))]
)
def test_names_of_speakers_are_separated_by_commas(text: str | None, names: tuple[str, ...]) -> None:
    assert parse_channels(text) == names


@pytest.mark.parametrize("text", ["", ",", "agent,", "agent,,customer"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="empty name"):
        parse_channels(text)


def test_produce_and_demo_take_the_same_options_for_what_is_sent() -> None:
    shared = {"--channels", "--audio-track", "--video-track", "--strict", "--speed", "--asr"}
    produce, demo = options("produce"), options("demo")
    assert shared <= produce.keys()
    assert all(produce[name] and produce[name] == demo[name] for name in shared)


def options(command: str) -> Mapping[str, str | None]:
    """The options of a command, and their help."""
    parameters = typer.main.get_group(app).commands[command].params
    return {parameter.opts[0]: getattr(parameter, "help", None) for parameter in parameters}
