"""What a port speaks is found out without sending anything that matters."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from stream.aio import protocols
from stream.aio.protocols import Listener, identify, listener_problem

LOOPBACK = "127.0.0.1"
NETWORK = "check the network and its firewalls"


def kafka(request: bytes) -> bytes:
    """An answer of 10 bytes with the request's correlation id, and the error "unsupported version"."""
    return b"\0\0\0\x0a" + request[8:12] + b"\0\x23\0\0\0\0"


def redis(request: bytes) -> bytes:
    return b"-NOAUTH Authentication required.\r\n" if request.endswith(b"\n") else b""


def zookeeper(request: bytes) -> bytes:
    return b"srvr is not executed because it is not in the whitelist.\n" if request == b"srvr" else b""


def http(request: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n" if b"HTTP" in request else b""


def http2(request: bytes) -> bytes:
    return b"\0\0\0\4\0\0\0\0\0" if request.startswith(b"PRI") else b""


def silent(_request: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("answer", "listener"),
    [
        (kafka, Listener.KAFKA),
        (redis, Listener.REDIS),
        (zookeeper, Listener.ZOOKEEPER),
        (http, Listener.HTTP),
        (http2, Listener.HTTP2),
        (silent, Listener.OTHER),
    ],
)
async def test_each_protocol_is_known_by_its_answer(answer: Callable[[bytes], bytes], listener: Listener) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(512)
        if request[:1] != b"\x16":  # a TLS handshake
            writer.write(answer(request))
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    assert await identify(LOOPBACK, server.sockets[0].getsockname()[1]) is listener
    server.close()


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "ANSWER_TIMEOUT_S", 0.05)
    with socket.create_server((LOOPBACK, 0)) as server:
        assert await identify(LOOPBACK, server.getsockname()[1]) is Listener.OTHER


async def test_nothing_and_nobody_are_told_apart() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))  # bound, but it does not listen
        assert await identify(LOOPBACK, taken.getsockname()[1]) is Listener.REFUSED
    assert await identify("host.invalid", 1) is Listener.UNKNOWN_HOST
    assert await identify(f"{'a' * 64}.invalid", 1) is Listener.UNKNOWN_HOST


@pytest.mark.parametrize(
    ("found", "code", "lasting", "text"),
    [
        (Listener.REFUSED, "refused", False, "Kafka does not answer at [::1]:9092; start it, or correct X"),
        (Listener.UNREACHABLE, "unreachable", False, f"Kafka cannot be reached at [::1]:9092; {NETWORK}, or correct X"),
        (Listener.UNKNOWN_HOST, "unknown_host", False, "Kafka: no host ::1 is known; correct X, or wait until DNS knows it"),
        (Listener.TLS, "wrong_port", True, "[::1]:9092 expects TLS, not Kafka; correct X"),
        (Listener.HTTP, "wrong_port", True, "[::1]:9092 is an HTTP server, not Kafka; correct X"),
    ],
)
def test_each_finding_is_a_sentence(found: Listener, code: str, lasting: bool, text: str) -> None:
    problem = listener_problem("Kafka", ("::1", 9092), found, "X")
    assert (problem.code, problem.lasting, problem.text) == (code, lasting, text)
