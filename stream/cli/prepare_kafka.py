"""`sentistream prepare-kafka`: creates the topics, and gives users the rights that they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, load_settings_with

if TYPE_CHECKING:
    from stream.kafka_admin.rights import Right

MOST_PASSWORDS_BYTES = 64 * 1024


def _users(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar="USER", help=f"User {what}; may be given several times.", show_default="none")
    return option


@friendly_errors()
def prepare_kafka(
    *,
    worker: Annotated[list[str] | None, _users("of workers")] = None,
    producer: Annotated[list[str] | None, _users("that sends chunks")] = None,
    gateway: Annotated[list[str] | None, _users("of gateways")] = None,
    consumer: Annotated[list[str] | None, _users("that reads results, in groups whose names begin with the user's")] = None,
    reviewer: Annotated[list[str] | None, _users("that writes and reads verdicts")] = None,
    passwords: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with a line `USER PASSWORD` for each user whose password is set, for kafka.sasl_mechanism (SCRAM).",
            show_default="passwords stay as they are",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the rights, one a line.")] = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
) -> None:
    """Create the topics, and give users the rights that they need, and no more.

    Run it as a user who may create topics, users and ACLs, before the first worker starts. A second run changes nothing, except that it
    sets the passwords again. It takes no rights away.

    For example:

    - `sentistream prepare-kafka --worker worker --producer call-platform --dry-run`

    - `sentistream prepare-kafka --worker worker --gateway gateway --passwords users.txt --config admin.yaml`
    """
    from stream.kafka_admin.rights import Role, rights_of  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.kafka_admin.topics import ensure_decisions, ensure_erasures, ensure_feedback, ensure_topics  # noqa: PLC0415
    from stream.kafka_admin.users import grant, set_passwords  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka).kafka
    named = {Role.WORKER: worker, Role.PRODUCER: producer, Role.GATEWAY: gateway, Role.CONSUMER: consumer, Role.REVIEWER: reviewer}
    rights: dict[str, list[Right]] = {}
    for role, users in named.items():
        for user in users or ():
            rights.setdefault(f"User:{user}", []).extend(rights_of(role, settings, user))
    secrets = {} if passwords is None else read_passwords(passwords)
    if dry_run:
        for principal, granted in rights.items():
            typer.echo("\n".join(f"{principal}: {right}" for right in granted))
        return
    if secrets and settings.sasl_mechanism == "PLAIN":
        raise UsageError("--passwords needs kafka.sasl_mechanism SCRAM-SHA-256 or SCRAM-SHA-512: PLAIN has its passwords in the broker")
    report = ensure_topics(settings)
    ensure_feedback(settings)
    ensure_decisions(settings)
    ensure_erasures(settings)
    if secrets:
        set_passwords(settings, secrets)
    if rights:
        grant(settings, rights)
    created = f"topics created: {', '.join(report.created)}" if report.created else "all topics were there"
    typer.echo(f"{created}; {len(secrets)} passwords set; {sum(map(len, rights.values()))} rights granted to {len(rights)} users")


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by user. Raises `UsageError`, whose text quotes nothing of the file."""
    try:
        content = path.read_bytes()[: MOST_PASSWORDS_BYTES + 1]
        if len(content) > MOST_PASSWORDS_BYTES:
            raise UsageError(f"--passwords: {path} is larger than {MOST_PASSWORDS_BYTES // 1024} KiB: name a file of lines USER PASSWORD")
        lines = content.decode("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"--passwords: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UsageError(f"--passwords: {path} is no text in UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, *rest = line.split()
        if len(rest) != 1:
            raise UsageError(f"--passwords: line {number} of {path} is not USER PASSWORD, with one space and none in the password")
        if user in found:
            raise UsageError(f"--passwords: line {number} of {path} names a user for the second time")
        found[user] = rest[0]
    return found
