"""`sentistream rules check` and `test`: mistakes in a file of alert rules, and what its rules would have raised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.errors import CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.domain.result import ExplanationRecord, ScoreRecord
    from stream.rules.trial import RuleTrial, Trial

app = typer.Typer(no_args_is_help=True, help="Check alert rules, and try them on stored results.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of rules, for example configs/call-center.yaml.")]


@app.command()
@friendly_errors()
def check(file: File) -> None:
    """Check a file of alert rules, and print all mistakes at once, each with its line.

    Conditions are tried on typical windows, also on such that lack a modality or in which nothing was said.

    Exits with 0 if workers can use the file, and with 2 if not.

    Example: `sentistream rules check configs/call-center.yaml`
    """
    from stream.domain.alert import AlertMode  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.wording import quantity  # noqa: PLC0415
    from stream.rules.read import read_rules  # noqa: PLC0415

    rules = read_rules(file).rules
    on_trial = sum(rule.mode is AlertMode.SHADOW for rule in rules)
    typer.echo(f"{file}: {quantity(len(rules), 'rule')}, no mistakes" + (f"; {on_trial} on trial (shadow)" if on_trial else ""))


@app.command("test")
@friendly_errors()
def try_file(
    file: File,
    *,
    session: Annotated[str, typer.Option(metavar="ID", help="Session whose stored results are replayed.")],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Replay a session's results from Redis through a file of rules: what would have been raised, and when.

    Nothing is written, and nobody is called. A worker with this file would have raised the same alerts. Use it before you let a rule act:
    the tables show how often it holds, its values against its threshold, and its alerts in an hour.

    For example:

    - `sentistream rules test configs/call-center.yaml --session call-17`

    - `sentistream rules test my-rules.yaml --session call-17 --json`
    """
    from stream.aio.signals import run_until_signal  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415
    from stream.rules.evaluate import RuleSet  # noqa: PLC0415
    from stream.rules.read import read_rules  # noqa: PLC0415
    from stream.rules.trial import try_rules  # noqa: PLC0415

    rules = RuleSet(read_rules(file))
    settings = load_settings_with(config, redis=redis)
    configure_logging(settings)
    try:
        key = SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None
    finals = run_until_signal(_stored(settings, key))
    if not finals:
        raise CommandError(f"Redis has no results of {key}: `sentistream watch --from-start` shows which sessions it has")
    trial = try_rules(rules, finals)
    if json:
        _print_json(key, trial)
    else:
        _print_tables(key, trial)


async def _stored(settings: Settings, session: SessionKey) -> list[tuple[ScoreRecord, ExplanationRecord]]:
    """The final windows of a session that Redis holds; those of each track are in order."""
    from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.sinks.reader import ResultReader  # noqa: PLC0415

    await require_services(settings, (Service.REDIS,), writes=False)
    scores: dict[str, ScoreRecord] = {}
    finals: list[tuple[ScoreRecord, ExplanationRecord]] = []
    async with ResultReader(settings.redis, [session]) as reader:
        async for received in reader.held():
            record = received.record
            if isinstance(record, ScoreRecord) and not isinstance(record, PartialRecord):
                scores[record.window_id] = record
            elif isinstance(record, ExplanationRecord) and record.window_id in scores:
                finals.append((scores.pop(record.window_id), record))
    return finals


def _print_json(session: SessionKey, trial: Trial) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415

    write_line(
        msgspec.json.encode(
            {
                "event": "rules_test",
                "tenant": session.tenant,
                "session": session.session,
                "windows": trial.windows,
                "media_ms": trial.media_ms,
                "alerts_per_hour": trial.per_hour,
                "rules": [_figures(of_rule) for of_rule in trial.rules],
                "alerts": trial.alerts,
            }
        )
    )


def _figures(of_rule: RuleTrial) -> dict[str, Any]:
    rule = of_rule.rule
    return {
        "rule": rule.name,
        "rule_version": rule.version,
        "severity": rule.severity,
        "mode": rule.mode,
        "threshold": rule.threshold,
        "clear_at": rule.clear_at,
        **{name: getattr(of_rule, name) for name in ("windows", "held", "undecided", "raised", "cleared", "lowest", "highest")},
    }


def _print_tables(session: SessionKey, trial: Trial) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415

    from stream.domain.alert import AlertMode, AlertState  # noqa: PLC0415
    from stream.domain.wording import duration, quantity  # noqa: PLC0415
    from stream.explain.phrasing import clock  # noqa: PLC0415

    console = Console()
    alerts = Table("time", "track", "rule", "", "value", "threshold", "severity", box=None, header_style="bold", pad_edge=False)
    for alert in trial.alerts:
        limit = alert.threshold if alert.state is AlertState.RAISED else alert.clear_at
        on_trial = " (shadow)" if alert.mode is AlertMode.SHADOW else ""
        row = (
            clock(alert.end_ms),
            alert.track,
            alert.rule,
            f"{alert.state}{on_trial}",
            _number(alert.value),
            _number(limit),
            alert.severity,
        )
        alerts.add_row(*row, style=None if alert.state is AlertState.RAISED else "dim")
    if trial.alerts:
        console.print(alerts)
        console.print()
    rules = Table(
        "rule", "windows", "holds", "undecided", "raised", "lowest", "highest", "threshold", box=None, header_style="bold", pad_edge=False
    )
    for one in trial.rules:
        counts = (str(one.windows), str(one.held), str(one.undecided), str(one.raised))
        rules.add_row(one.rule.name, *counts, _number(one.lowest), _number(one.highest), _number(one.rule.threshold))
    console.print(rules)
    raised = sum(one.raised for one in trial.rules)
    said = f"{session}: {quantity(trial.windows, 'window')} in {duration(trial.media_ms)}, {quantity(raised, 'alert')} raised"
    console.print(f"\n{said}, {trial.per_hour:g} an hour", highlight=False, markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
