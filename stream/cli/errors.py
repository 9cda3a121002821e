"""Turns a known error into one clear sentence on standard error and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WRONG_SERVICE = 3
"""A service is not what the settings say. Waiting or starting again does not help."""
EXIT_INCOMPLETE = 4
"""With ``--strict``: the command worked, but not all that the recordings announce was sent."""
EXIT_INTERRUPTED = 130

KNOWN_ERRORS: dict[str, tuple[str, int]] = {
    "stream.config.load.ConfigError": ("", EXIT_USAGE),
    "stream.rules.read.RulesError": ("", EXIT_USAGE),
    "stream.aio.service_monitor.WrongServiceError": ("", EXIT_WRONG_SERVICE),
    "stream.local.errors.LocalStackError": ("", EXIT_FAILED),
    "stream.model_repository.errors.ModelRepositoryError": ("", EXIT_FAILED),
    "stream.serving.errors.ServingError": ("Triton: ", EXIT_FAILED),
    "stream.media.errors.MediaError": ("", EXIT_FAILED),
    "stream.kafka_admin.errors.WrongBrokerError": ("", EXIT_WRONG_SERVICE),
    "stream.kafka_admin.errors.BrokerError": ("", EXIT_FAILED),
    "stream.agents.otlp.TracingUnavailableError": ("", EXIT_USAGE),
    "stream.agents.health.HealthPortError": ("", EXIT_FAILED),
    "stream.gateway.access_file.AccessFileError": ("", EXIT_USAGE),
    "stream.gateway.server.GatewayPortError": ("", EXIT_FAILED),
    "stream.sinks.rebuild.RebuildError": ("", EXIT_FAILED),
    "stream.reveal.models.UnusableModelsError": ("", EXIT_FAILED),
    "stream.sinks.window_store.WindowStoreError": ("", EXIT_FAILED),
    "stream.training.errors.TrainingError": ("", EXIT_USAGE),
    "stream.gateway.webhooks.receivers.WebhooksError": ("", EXIT_USAGE),
    "stream.client.errors.GatewayError": ("", EXIT_FAILED),
    "stream.cli.errors.UsageError": ("", EXIT_USAGE),
    "stream.cli.errors.CommandError": ("", EXIT_FAILED),
    "kafka.errors.KafkaError": ("Kafka: ", EXIT_FAILED),
    "aiokafka.errors.KafkaError": ("Kafka: ", EXIT_FAILED),
    "stream.sinks.problems.RedisRefusedError": ("", EXIT_WRONG_SERVICE),
    "stream.sinks.problems.RedisUnusableError": ("", EXIT_FAILED),
    "redis.exceptions.RedisError": ("Redis gives an unexpected answer; its log may say why: ", EXIT_FAILED),
}
"""Full class name (subclasses count, too) → prefix of the sentence, and exit code.

Names instead of classes keep ``sentistream --help`` fast: importing the classes would import the clients of Kafka, Redis and Triton.
"""


class CommandError(Exception):
    """A command cannot continue; the message is one sentence that says what to do."""


class UsageError(CommandError):
    """The options of a command have a wrong value, or do not fit each other."""


def describe(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence and the exit code for an error that users may see; None for a bug.

    A group is known only if all its errors are: a bug in it must keep its traceback.
    """
    if isinstance(error, BaseExceptionGroup):
        found = [described for described in map(describe, error.exceptions) if described]
        return found[0] if len(found) == len(error.exceptions) else None
    for cls in type(error).__mro__:
        known = KNOWN_ERRORS.get(f"{cls.__module__}.{cls.__qualname__}")
        if known:
            prefix, code = known
            # The text of an error of redis-py may hold a user's name or the words of a window.
            text = "" if cls.__module__ == "redis.exceptions" else str(error)
            return prefix + (text or type(error).__name__), code
    return None


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Print a message in red on standard error and end the command with an exit code."""
    typer.secho(message, fg=typer.colors.RED, err=True)
    raise typer.Exit(code)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn known errors into a sentence and Ctrl-C into exit code 130; a context manager and a decorator for commands.

    As a decorator, ``@friendly_errors()`` stands below typer's. An unknown error is a bug and keeps its traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except Exception as error:
        described = describe(error)
        if described is None:
            raise
        fail(*described)
