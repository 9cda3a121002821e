"""`sentistream up`: the embedded stack and workers, until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.local.events import StackEvent
    from stream.local.stack import Stack, StackPorts

EMBEDDED_PORT = typer.Option(min=0, max=65535, help="Port of the embedded one; 0 = any free one.")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to run, and what is there already (``kafka``, ``redis``, ``triton``)."""

    settings: Settings
    given: frozenset[str]
    ports: StackPorts
    workers: int


@friendly_errors()
def up(
    *,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Use this Kafka instead of the embedded one.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Use this Redis instead of the embedded one.")] = None,
    triton: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Use this Triton instead of the embedded one.")] = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Workers to run; 0 = the services only.")] = 1,
    kafka_port: Annotated[int, EMBEDDED_PORT] = 0,
    redis_port: Annotated[int, EMBEDDED_PORT] = 0,
    triton_port: Annotated[int, EMBEDDED_PORT] = 0,
) -> None:
    """Start Kafka, Redis, Triton and a worker on this machine, print where they are, and run until Ctrl-C.

    Everything listens on 127.0.0.1 only. In another terminal, with the variables that are printed here, send a clip with
    `sentistream produce` and follow it with `sentistream watch`. The embedded Kafka keeps its topics in memory: they end with it.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli import interrupt  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.local.run_directory import run_directory  # noqa: PLC0415
    from stream.local.stack import StackPorts  # noqa: PLC0415
    from stream.local.triton import TritonPorts  # noqa: PLC0415

    services = {"kafka": ("bootstrap", kafka), "redis": ("url", redis), "triton": ("url", triton)}
    given = {name: {key: value} for name, (key, value) in services.items() if value is not None}
    ports = StackPorts(kafka_port, redis_port, TritonPorts(grpc=triton_port))
    plan = _Plan(load_settings(config, given), frozenset(given), ports, workers)
    console = Console()
    started: list[bool] = []
    with run_directory("up") as directory:
        try:
            interrupt.run(_serve(plan, directory, console, lambda: started.append(True)))
        except KeyboardInterrupt:
            if not started:
                raise
            console.print("stopped")


async def _serve(plan: _Plan, directory: Path, console: Console, on_started: Callable[[], None]) -> None:
    from stream.local.reachable import require_services  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.local.stack import Stack  # noqa: PLC0415
    from stream.local.worker import Workers  # noqa: PLC0415

    def tell(event: StackEvent) -> None:
        took = f"after {event.seconds:.1f} s" if event.seconds else ""
        said = " ".join(word for word in (event.part, event.change, took, event.detail) if word)
        console.print(f"  {said}", highlight=False, markup=False, style="dim")

    await require_services(plan.settings, **{name: name in plan.given for name in ("kafka", "redis", "triton")})
    own = {f"own_{part}": name not in plan.given for part, name in (("broker", "kafka"), ("redis", "redis"), ("triton", "triton"))}
    async with (
        Stack(plan.settings, directory, on_event=tell, ports=plan.ports, **own) as stack,
        Workers(stack.settings, directory, plan.workers, tell) as workers,
    ):
        _print_endpoints(console, stack, plan.workers)
        on_started()
        lost = [asyncio.create_task(_part_lost(stack))]
        if plan.workers:
            lost.append(asyncio.create_task(workers.failed()))
        done, _ = await asyncio.wait(lost, return_when=asyncio.FIRST_COMPLETED)
        raise CommandError(done.pop().result())


async def _part_lost(stack: Stack) -> str:
    return str(await stack.failed())


def _print_endpoints(console: Console, stack: Stack, workers: int) -> None:
    from rich.table import Table  # noqa: PLC0415 - heavy imports stay out of --help

    at = stack.endpoints
    table = Table("service", "where", "", box=None, header_style="bold", pad_edge=False)
    own = "embedded", "yours"
    table.add_row("Kafka", at.kafka, own[stack.broker is None])
    table.add_row("Redis", stack.redis.url if stack.redis else "as configured", own[stack.redis is None])
    table.add_row("Triton (gRPC)", at.triton_grpc, own[stack.triton is None])
    if stack.triton:
        table.add_row("Triton (HTTP)", stack.triton.http_url, "")
        table.add_row("Triton metrics", stack.triton.metrics_url, "")
    table.add_row("workers", str(workers), f"logs in {stack.run_directory}")
    console.print(table)
    console.print("\nFor other terminals:", style="bold")
    secret = {"SENTISTREAM_KAFKA__PASSWORD"} | (set() if stack.redis else {"SENTISTREAM_REDIS__URL"})
    for name, value in stack.environment().items():
        said = "(as you gave it)" if name in secret else value
        console.print(f"export {name}={said}", highlight=False, markup=False, soft_wrap=True)
    console.print("\nCtrl-C stops everything.", style="dim")
