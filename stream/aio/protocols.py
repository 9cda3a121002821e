"""Finds out which protocol a port speaks, to say what is wrong with an address that a client cannot use."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from enum import StrEnum

from stream.aio.probes import exchange
from stream.domain.address import Address, format_address
from stream.domain.service_problem import ServiceProblem

CONNECT_TIMEOUT_S = 1.0
"""A connection within a network takes milliseconds. A firewall that swallows packets would hold up every message for minutes."""
ANSWER_TIMEOUT_S = 0.7
"""Each protocol is tried on a connection of its own, all at the same time; a server answers the one that it speaks at once."""

_CORRELATION = 0x53454E54
_KAFKA_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, _CORRELATION, -1)
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS_FRAME = 4
"""Type of the first frame that a server sends in HTTP/2."""


class Listener(StrEnum):
    """What is at an address."""

    UNKNOWN_HOST = "unknown_host"
    """The name of the host cannot be resolved."""
    REFUSED = "refused"
    """Nothing listens on the port, or a firewall rejects the connection."""
    UNREACHABLE = "unreachable"
    """No answer to the attempt to connect."""
    TLS = "tls"
    KAFKA = "kafka"
    REDIS = "redis"
    ZOOKEEPER = "zookeeper"
    HTTP2 = "http2"
    """HTTP/2 without TLS, as gRPC uses it."""
    HTTP = "http"
    OTHER = "other"
    """It accepts connections, but speaks none of these protocols, or does not answer at all."""


async def identify(host: str, port: int) -> Listener:
    """Connect to a port and return what it speaks. Takes at most `CONNECT_TIMEOUT_S` and `ANSWER_TIMEOUT_S` together; sends no secret."""
    if (failure := await _connection_failure(host, port)) is not None:
        return failure
    tls, kafka, redis, zookeeper, http2, http = await asyncio.gather(
        _speaks_tls(host, port),
        _answer(host, port, _KAFKA_API_VERSIONS),
        _answer(host, port, b"PING\r\n"),
        _answer(host, port, b"srvr"),
        _answer(host, port, _HTTP2_PREFACE),
        _answer(host, port, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
    spoken = {
        Listener.TLS: tls,
        Listener.KAFKA: len(kafka) >= 8 and struct.unpack_from(">i", kafka, 4)[0] == _CORRELATION,
        Listener.REDIS: redis.startswith((b"+PONG", b"-NOAUTH", b"-DENIED", b"-LOADING", b"-MASTERDOWN", b"-ERR")),
        Listener.ZOOKEEPER: zookeeper.startswith((b"Zookeeper version", b"srvr is not executed", b"This ZooKeeper")),
        Listener.HTTP2: len(http2) >= 9 and http2[3] == _SETTINGS_FRAME,
        Listener.HTTP: http.startswith(b"HTTP/1."),
    }
    return next((listener for listener, yes in spoken.items() if yes), Listener.OTHER)


async def _connection_failure(host: str, port: int) -> Listener | None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    # A name that is too long for DNS is a UnicodeError.
    except (socket.gaierror, UnicodeError):
        return Listener.UNKNOWN_HOST
    except ConnectionError:
        return Listener.REFUSED
    except (OSError, TimeoutError):
        return Listener.UNREACHABLE
    writer.close()
    return None


async def _speaks_tls(host: str, port: int) -> bool:
    # The certificate does not matter here: nothing is sent.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        # An alert is an answer in TLS, for example to a client without a certificate.
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _answer(host: str, port: int, request: bytes) -> bytes:
    return await exchange(host, port, request, ANSWER_TIMEOUT_S) or b""


SERVERS = {
    Listener.KAFKA: "a Kafka broker",
    Listener.REDIS: "a Redis",
    Listener.ZOOKEEPER: "a ZooKeeper",
    Listener.HTTP2: "a gRPC server",
    Listener.HTTP: "an HTTP server",
}
"""Servers that are known by what they speak, as messages name them."""


def listener_problem(service: str, address: Address, found: Listener, setting: str) -> ServiceProblem:
    """The problem of a service that does not answer as it should at an address.

    Args:
        service: Name of the service that was expected there.
        address: Its host and port.
        found: What is there.
        setting: What to correct: an option or a setting.
    """
    at = format_address(address)
    match found:
        case Listener.UNKNOWN_HOST:
            text = f"{service}: no host {address[0]} is known; correct {setting}, or wait until DNS knows it"
        case Listener.REFUSED:
            text = f"{service} does not answer at {at}; start it, or correct {setting}"
        case Listener.UNREACHABLE:
            text = f"{service} cannot be reached at {at}; check the network and its firewalls, or correct {setting}"
        case Listener.OTHER:
            text = f"{at} accepts connections, but does not answer as {service} does; correct {setting}, or restart the server there"
        case _:
            speaks = "expects TLS" if found is Listener.TLS else f"is {SERVERS[found]}"
            return ServiceProblem("wrong_port", f"{at} {speaks}, not {service}; correct {setting}", lasting=True)
    return ServiceProblem("no_answer" if found is Listener.OTHER else found.value, text, lasting=False)
