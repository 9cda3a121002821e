"""Redis servers in the states that people meet: with any options, as a cluster, and watched by a Sentinel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.crc import key_slot

from stream.aio.probes import exchange
from stream.local.ports import LOOPBACK, free_port
from stream.local.process import ManagedProcess
from stream.local.redis_server import server_binary

SLOTS = 16_384
START_TIMEOUT_S = 15.0
NODE_TIMEOUT_MS = 1000
"""After this time without an answer the nodes of a test's cluster take a node for dead."""


def documented_rights() -> str:
    """The rights of a user that docs/operations.md lists."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"^user NAME on >PASSWORD (.+?)```", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return " ".join(found[1].split())


def why_no_tls() -> str | None:
    """Why no Redis with TLS can run here; None when one can."""
    return None if _tls_programs() else "no Redis with TLS here: the packaged Valkey is built without it (Debian: apt install redis-tools)"


def tls_server(directory: Path) -> Path:
    """A Redis server that is built with TLS, as a link in a directory: Debian's ``redis-check-rdb`` is the server under another name."""
    link = directory / "redis-server"
    link.symlink_to(_tls_programs()[0])
    return link


def _tls_programs() -> list[str]:
    found = [path for name in ("redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb") if (path := shutil.which(name))]
    return [path for path in found if b"tls-cert-file" in Path(path).read_bytes() and b"libssl" in Path(path).read_bytes()]


class RedisNode:
    """A server without persistence.

    Args:
        directory: For its files.
        options: Further options of the server: ``("--maxmemory", "1mb")``.
        config: Lines of a configuration file, which the server may rewrite.
    """

    def __init__(self, directory: Path, *options: str, config: str | None = None) -> None:
        self.port = free_port()
        own = directory / f"redis-{self.port}"
        own.mkdir(parents=True)
        command = [server_binary()]
        if config is not None:
            (own / "redis.conf").write_text(config)
            command.append(str(own / "redis.conf"))
        command += ["--port", str(self.port), "--bind", LOOPBACK, "--dir", str(own), *options]
        self.log = own / "redis.log"
        self.process = ManagedProcess("a Redis", command, self.log, environment={"PATH": os.defpath, "HOME": str(own)})

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Address for clients without a password."""
        return f"redis://{self.address}/0"

    async def start(self) -> None:
        """Start it, and wait until it answers anything: a password, loading data and a lost primary are answers, too."""
        await self.process.start(self._answers, START_TIMEOUT_S)

    async def _answers(self) -> bool:
        return (await exchange(LOOPBACK, self.port, b"PING\r\n") or b"")[:1] in (b"+", b"-")

    async def call(self, *command: str | int) -> object:
        """Send a command without a login, and return the answer."""
        async with Redis(host=LOOPBACK, port=self.port, decode_responses=True) as client:
            answer: object = await client.execute_command(*command)  # type: ignore[no-untyped-call]
            return answer


@asynccontextmanager
async def redis_node(directory: Path, *options: str, config: str | None = None) -> AsyncIterator[RedisNode]:
    """Run a server until the block ends."""
    node = RedisNode(directory, "--save", "", *options, config=config)
    await node.start()
    try:
        yield node
    finally:
        node.process.kill()


class RedisClusterNodes:
    """A cluster: three primaries, and one replica of the first of them.

    Args:
        directory: For its files.
    """

    def __init__(self, directory: Path) -> None:
        self._ids: dict[RedisNode, str] = {}
        self._buses: dict[RedisNode, int] = {}
        *self.primaries, self.replica = (self._node(directory) for _ in range(4))

    @property
    def nodes(self) -> list[RedisNode]:
        """All nodes."""
        return [*self.primaries, self.replica]

    @property
    def url(self) -> str:
        """Address for clients: two of the nodes."""
        return f"redis://{self.primaries[1].address},{self.primaries[0].address}/0"

    async def start(self) -> None:
        """Start the nodes, divide the slots among the primaries, and wait until all agree."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        bounds = [SLOTS * number // 3 for number in range(4)]
        for number, node in enumerate(self.primaries):
            await node.call("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            await node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes:
            self._ids[node] = str(await node.call("CLUSTER", "MYID"))
            await self.primaries[0].call("CLUSTER", "MEET", LOOPBACK, node.port, self._buses[node])
        await self._until_all_agree(len(self.nodes))
        await self.replica.call("CLUSTER", "REPLICATE", self._ids[self.primaries[0]])
        async with asyncio.timeout(START_TIMEOUT_S):
            while "connected" not in str(await self.replica.call("ROLE")):
                await asyncio.sleep(0.05)

    async def owner(self, key: str) -> RedisNode:
        """The primary that has a key's slot."""
        return await self.slot_owner(key_slot(key.encode()))

    async def slot_owner(self, slot: int) -> RedisNode:
        """The node that has a slot."""
        asked = next(node for node in self.nodes if node.process.running)
        ranges = await asked.call("CLUSTER", "SLOTS")
        assert isinstance(ranges, list)
        port = next(primary[1] for first, last, primary, *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    async def move(self, slot: int, to: RedisNode) -> None:
        """Move a slot with its keys, one after the other, as ``redis-cli --cluster reshard`` does."""
        source = await self.slot_owner(slot)
        await to.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[source])
        await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[to])
        while keys := await source.call("CLUSTER", "GETKEYSINSLOT", slot, 1):
            assert isinstance(keys, list)
            await source.call("MIGRATE", LOOPBACK, to.port, keys[0], 0, 5000)
            await asyncio.sleep(0.005)
        for node in (to, source, *(other for other in self.primaries if other not in (to, source))):
            await node.call("CLUSTER", "SETSLOT", slot, "NODE", self._ids[to])

    def kill(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.process.kill()

    def _node(self, directory: Path) -> RedisNode:
        bus = free_port()
        node = RedisNode(
            directory,
            *("--save", "", "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
        )
        self._buses[node] = bus
        return node

    async def _until_all_agree(self, known: int) -> None:
        async with asyncio.timeout(START_TIMEOUT_S):
            for node in self.nodes:
                while True:
                    info = str(await node.call("CLUSTER", "INFO"))
                    if "cluster_state:ok" in info and f"cluster_known_nodes:{known}\r" in info:
                        break
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def redis_cluster(directory: Path) -> AsyncIterator[RedisClusterNodes]:
    """Run a cluster until the block ends."""
    cluster = RedisClusterNodes(directory)
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.kill()


PRIMARY = "calls"
"""The name by which the Sentinel of a test knows the primary."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A primary, its replica, and the Sentinel that watches them."""

    primary: RedisNode
    replica: RedisNode
    sentinel: RedisNode

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"redis+sentinel://{self.sentinel.address}/{PRIMARY}/0"


@asynccontextmanager
async def watched_redis(directory: Path) -> AsyncIterator[Watched]:
    """Run a primary with a replica and a Sentinel until the block ends."""
    async with contextlib.AsyncExitStack() as stack:
        primary = await stack.enter_async_context(redis_node(directory, "--repl-diskless-sync-delay", "0"))
        replica = await stack.enter_async_context(redis_node(directory, "--replicaof", f"{LOOPBACK} {primary.port}"))
        config = f"sentinel monitor {PRIMARY} {LOOPBACK} {primary.port} 1\nsentinel down-after-milliseconds {PRIMARY} 500\n"
        sentinel = RedisNode(directory, "--sentinel", config=config)
        stack.callback(sentinel.process.kill)
        await sentinel.start()
        async with asyncio.timeout(START_TIMEOUT_S):
            while "connected" not in str(await replica.call("ROLE")) or "'slaves': 1" not in str(await sentinel.call("INFO", "sentinel")):
                await asyncio.sleep(0.1)
        yield Watched(primary, replica, sentinel)
