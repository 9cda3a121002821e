"""`sentistream up`: runs the embedded stack and workers until Ctrl-C."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors
from stream.cli.options import (
    ConfigFile,
    ExternalKafka,
    ExternalRedis,
    ExternalTriton,
    OpenBrowser,
    external_services,
    load_settings_with,
)

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.local.events import StackEvent
    from stream.local.stack import Stack, StackPorts

Port = Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port of the embedded service; 0 = any free port.")]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The services and workers to run.

    Attributes:
        settings: The effective settings.
        external: Names of the services that are not embedded: ``kafka``, ``redis``, ``triton``.
        ports: Ports of the embedded services.
        workers: Number of workers.
        gateway_port: Port of the live page; None for the setting's, or another if that is taken.
        open_browser: Whether to open it.
    """

    settings: Settings
    external: frozenset[str]
    ports: StackPorts
    workers: int
    gateway_port: int | None
    open_browser: bool


@friendly_errors()
def up(
    *,
    config: ConfigFile = None,
    kafka: ExternalKafka = None,
    redis: ExternalRedis = None,
    triton: ExternalTriton = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Number of workers; 0 = the services only.")] = 1,
    kafka_port: Port = 0,
    redis_port: Port = 0,
    triton_port: Port = 0,
    gateway_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port of the live page; 0 = any free port.", show_default="setting gateway.port, if free"
        ),
    ] = None,
    open_browser: OpenBrowser = False,
) -> None:
    """Run Kafka, Redis, Triton, a worker and the live page on this machine until Ctrl-C.

    Use it to develop against a running service. It prints the addresses and the variables that name them. In another terminal, with these
    variables, send a recording with `sentistream produce` and follow its results with `sentistream watch`.

    Everything listens on 127.0.0.1 only. The embedded Kafka keeps its topics in memory, so they are gone when it stops.

    For example:

    - `sentistream up`

    - `sentistream up --workers 2 --kafka-port 9092 --redis-port 6379`
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.local.run_directory import run_directory  # noqa: PLC0415
    from stream.local.stack import StackPorts  # noqa: PLC0415
    from stream.local.triton import TritonPorts  # noqa: PLC0415
    from stream.rules.shipped import with_checked_rules  # noqa: PLC0415

    settings = with_checked_rules(load_settings_with(config, kafka=kafka, redis=redis, triton=triton))
    external = external_services(kafka=kafka, redis=redis, triton=triton)
    ports = StackPorts(kafka_port, redis_port, TritonPorts(grpc=triton_port))
    plan = _Plan(settings, external, ports, workers, gateway_port, open_browser)
    console = Console()
    started = threading.Event()
    with run_directory("up") as directory:
        try:
            run_until_signal(_serve(plan, directory, console, started.set))
        except KeyboardInterrupt:
            # Once everything runs, Ctrl-C is the normal end, with exit code 0. Before that it interrupts the start.
            if not started.is_set():
                raise
            console.print("stopped")


async def _serve(plan: _Plan, directory: Path, console: Console, on_started: Callable[[], None]) -> None:
    from stream.cli.browser import open_page  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.cli.steps import StepReporter  # noqa: PLC0415
    from stream.local.gateway import LocalGateway, gateway_is_installed  # noqa: PLC0415
    from stream.local.reachable import Service, require_services, watched  # noqa: PLC0415
    from stream.local.stack import Stack  # noqa: PLC0415
    from stream.local.worker import Workers  # noqa: PLC0415

    def print_event(event: StackEvent) -> None:
        took = f"after {event.seconds:.1f} s" if event.seconds else ""
        line = " ".join(word for word in (event.service, event.state, took, event.detail) if word)
        console.print(f"  {line}", highlight=False, markup=False, style="dim")

    external = sorted(map(Service, plan.external))
    await require_services(plan.settings, external)
    stack = Stack(
        plan.settings,
        directory,
        embed_kafka="kafka" not in external,
        embed_redis="redis" not in external,
        embed_triton="triton" not in external,
        on_event=print_event,
        ports=plan.ports,
    )
    watching = watched(plan.settings, external, StepReporter(console))
    async with watching, stack, AsyncExitStack() as pages, Workers(stack.settings, directory, plan.workers, print_event) as workers:
        page = None
        if gateway_is_installed():
            page = await pages.enter_async_context(LocalGateway(stack.settings, directory, plan.gateway_port, print_event))
        _print_addresses(console, stack, plan.workers, page.address if page else "pip install 'sentistream[gateway]'")
        if plan.open_browser and page and not open_page(page.address):
            console.print("no browser was found here; open the live page yourself", style="dim")
        on_started()
        failures = [asyncio.create_task(_service_failure(stack))]
        if plan.workers:
            failures.append(asyncio.create_task(workers.wait_for_failure()))
        done, _ = await asyncio.wait(failures, return_when=asyncio.FIRST_COMPLETED)
        raise CommandError(done.pop().result())


async def _service_failure(stack: Stack) -> str:
    return str(await stack.wait_for_failure())


def _print_addresses(console: Console, stack: Stack, workers: int, page: str) -> None:
    from rich.table import Table  # noqa: PLC0415 - heavy imports stay out of --help

    at = stack.endpoints
    table = Table("service", "address", "", box=None, header_style="bold", pad_edge=False)
    origin = "embedded", "external"
    table.add_row("Kafka", at.kafka, origin[stack.broker is None])
    table.add_row("Redis", stack.redis.url if stack.redis else "as configured", origin[stack.redis is None])
    table.add_row("Triton (gRPC)", at.triton_grpc, origin[stack.triton is None])
    if stack.triton:
        table.add_row("Triton (HTTP)", stack.triton.http_url, "")
        table.add_row("Triton metrics", stack.triton.metrics_url, "")
    table.add_row("live page", page, "")
    table.add_row("workers", str(workers), f"logs in {stack.run_directory}")
    console.print(table)
    console.print("\nFor other terminals:", style="bold")
    secret = {"SENTISTREAM_KAFKA__PASSWORD"} | (set() if stack.redis else {"SENTISTREAM_REDIS__URL"})
    for name, value in stack.environment().items():
        shown = "(the value that you set)" if name in secret else value
        console.print(f"export {name}={shown}", highlight=False, markup=False, soft_wrap=True)
    console.print("\nCtrl-C stops everything.", style="dim")
