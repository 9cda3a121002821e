"""`sentistream config`: shows and checks the effective settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_FAILED, EXIT_USAGE, EXIT_WRONG_SERVICE, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, RedisUrl, TritonAddress, load_settings_with

if TYPE_CHECKING:
    from stream.config.load import ConfigError
    from stream.domain.service_problem import ServiceProblem
    from stream.local.reachable import Service
    from stream.rules.read import RulesError

app = typer.Typer(
    help="Show or check the settings: SENTISTREAM_* variables win over a YAML file, the file over the defaults.", no_args_is_help=True
)


@app.command()
@friendly_errors()
def show(config: ConfigFile = None) -> None:
    """Print every setting with its effective value and its meaning.

    Use it to find the setting that you need, or to see which values a worker would have. Settings that differ from their defaults are
    coloured; secrets are masked.

    Example: `sentistream config show --config configs/low-latency.yaml`
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415

    from stream.config.describe import describe_settings  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415

    rows = list(describe_settings(load_settings(config)))
    table = Table("setting", "value", "meaning", box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = table.columns[2].overflow = "fold"
    for row in rows:
        table.add_row(row.name, row.value, row.meaning, style=None if row.is_default else "cyan")
    console = Console(markup=False)
    console.print(table)
    console.print("\nSet SECTION.NAME in a file (--config) or with the variable SENTISTREAM_SECTION__NAME, for example", end=" ")
    console.print(f"{rows[0].variable}=host:9092.")
    console.print("Settings that differ from their defaults are coloured; secrets are masked.", style="dim")


@app.command()
@friendly_errors()
def check(
    *,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also try the Kafka, Redis and Triton of the settings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Check the settings, and print all mistakes at once. With `--connect`, also try the services that they name.

    Use it before you deploy settings. Each mistake comes with its setting and with the line of the file or the variable that it comes from.
    With `--connect` it logs in, compares topics, rights and models with what workers need, and says what is wrong and what to do. It
    changes nothing, and takes at most 10 s.

    Exits with 0 if everything can be used, 2 if there is a mistake in the settings, 3 if a service is not what the settings say, so that
    waiting cannot help, and 1 if a service is away.

    For example:

    - `sentistream config check --config my.yaml`

    - `sentistream config check --connect --json`
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help
    import json  # noqa: PLC0415

    from stream.config.load import ConfigError  # noqa: PLC0415
    from stream.rules.read import RulesError, read_rules  # noqa: PLC0415

    try:
        settings = load_settings_with(config, kafka=kafka, redis=redis, triton=triton)
        if settings.alerts.rules is not None:
            read_rules(settings.alerts.rules)
    except (ConfigError, RulesError) as error:
        if not as_json:
            raise
        mistakes = _mistakes(error)
        typer.echo(json.dumps({"valid": False, "mistakes": mistakes, "services": {}}))
        raise typer.Exit(EXIT_USAGE) from None
    looked: dict[Service, list[ServiceProblem]] = {}
    if connect:
        from stream.local.reachable import Service, look_at  # noqa: PLC0415

        looked = asyncio.run(look_at(settings, Service))
    if as_json:
        services = {name: {"usable": _usable(problems), "problems": [asdict(p) for p in problems]} for name, problems in looked.items()}
        typer.echo(json.dumps({"valid": True, "mistakes": [], "services": services}))
    else:
        typer.echo("the settings are valid")
        for name, problems in looked.items():
            _print_service(name, problems)
    serious = [problem for problems in looked.values() for problem in problems if problem.serious]
    if serious:
        raise typer.Exit(EXIT_WRONG_SERVICE if any(problem.lasting for problem in serious) else EXIT_FAILED)


def _mistakes(error: ConfigError | RulesError) -> list[dict[str, str]]:
    from stream.config.load import ConfigError  # noqa: PLC0415 - heavy imports stay out of --help

    if isinstance(error, ConfigError):
        return [{"setting": mistake.key, "source": mistake.source, "text": mistake.text} for mistake in error.mistakes]
    return [{"setting": "alerts.rules", "source": f"line {mistake.line}", "text": mistake.text} for mistake in error.mistakes]


def _usable(problems: list[ServiceProblem]) -> bool:
    return not any(problem.serious for problem in problems)


def _print_service(name: str, problems: list[ServiceProblem]) -> None:
    if _usable(problems):
        typer.secho(f"{name}: can be used", fg="green")
    for problem in problems:
        typer.secho(f"{name}: {'' if problem.serious else 'note: '}{problem.text}", fg="red" if problem.serious else "yellow")
