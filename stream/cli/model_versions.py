"""`sentistream models load`, `promote`, `rollback`, `retire`: versions of ``mmci`` on a running Triton."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, RedisUrl, TritonAddress, load_settings_with

if TYPE_CHECKING:
    from stream.pipeline.model_versions import ModelVersions, VersionStatus

Result = TypeVar("Result")

Repository = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Model repository that Triton reads.", show_default="setting triton.model_repository")
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Number of the version: its folder in FOLDER/mmci.")]


@friendly_errors()
def load(
    version: Version,
    *,
    repository: Repository = None,
    config: ConfigFile = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Let Triton serve a version of mmci beside the others. New sessions do not get it yet: see `promote`.

    Its files and two answers are checked. A version that is refused changes nothing: Triton goes on with the others.

    Use it for a version that open sessions keep but that is no longer loaded, or that `models.shadow_version` names.

    Example: `sentistream models load 2`
    """
    wanted = _checked(version)
    named = _with_versions(config, repository, redis, triton, lambda versions: versions.load(wanted))
    typer.echo(f"version {named.version} of mmci is loaded (weights {named.digest})")


@friendly_errors()
def promote(
    version: Version,
    *,
    force: Annotated[bool, typer.Option("--force", help="Promote it although it has not passed the gates in its card.json.")] = False,
    repository: Repository = None,
    config: ConfigFile = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Give new sessions another version of mmci. It is first loaded and checked, as by `load`. Open sessions keep the version they have.

    For example:

    - `sentistream models promote 2`

    - `sentistream models rollback`
    """
    wanted = _checked(version)
    in_force = _with_versions(config, repository, redis, triton, lambda versions: versions.promote(wanted, force=force))
    back = "" if in_force.previous is None else f"; `sentistream models rollback` goes back to version {in_force.previous}"
    typer.echo(f"new sessions get version {in_force.version} of mmci{back}")


@friendly_errors()
def rollback(*, repository: Repository = None, config: ConfigFile = None, redis: RedisUrl = None, triton: TritonAddress = None) -> None:
    """Take the last promotion back: new sessions get the version of mmci before it again.

    Example: `sentistream models rollback`
    """
    in_force = _with_versions(config, repository, redis, triton, lambda versions: versions.roll_back())
    typer.echo(f"new sessions get version {in_force.version} of mmci")


@friendly_errors()
def retire(
    version: Version,
    *,
    force: Annotated[bool, typer.Option("--force", help="Retire it although open sessions keep it: they then wait.")] = False,
    repository: Repository = None,
    config: ConfigFile = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Stop serving a version of mmci, which frees Triton's memory. Its files stay.

    Example: `sentistream models retire 1`
    """
    wanted = _checked(version)
    _with_versions(config, repository, redis, triton, lambda versions: versions.retire(wanted, force=force))
    typer.echo(f"version {version} of mmci is not served")


def status(config: Path | None, repository: Path | None, redis: str | None, triton: str | None) -> VersionStatus:
    """What the running Triton and Redis say of the versions."""
    return _with_versions(config, repository, redis, triton, lambda versions: versions.status())


def _checked(version: str) -> str:
    if not (version.isascii() and version.isdecimal()) or version != str(int(version)) or version == "0":
        raise UsageError("VERSION is the number of a version's folder, for example 2")
    return version


def _with_versions(
    config: Path | None,
    repository: Path | None,
    redis: str | None,
    triton: str | None,
    step: Callable[[ModelVersions], Awaitable[Result]],
) -> Result:
    """Run one step on the services of the settings."""
    from stream.aio.signals import run_until_signal  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.pipeline.model_versions import ModelVersions  # noqa: PLC0415

    settings = load_settings_with(config, redis=redis, triton=triton)
    configure_logging(settings)
    if repository is not None:
        settings = settings.model_copy(update={"triton": settings.triton.model_copy(update={"model_repository": repository})})

    async def run() -> Result:
        await require_services(settings, (Service.REDIS, Service.TRITON), writes=False)
        async with ModelVersions(settings) as versions:
            return await step(versions)

    return run_until_signal(run())
