"""The first requests of every Kafka client, one after the other, to say at which of them a setting is wrong.

kafka-python and aiokafka try again until their time is up, whatever the reason, and then report a time-out.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka.net.sasl import get_sasl_mechanism

from stream.aio.protocols import CONNECT_TIMEOUT_S, Listener, identify, listener_problem
from stream.config.addresses import parse_addresses
from stream.config.service_settings import KafkaSettings
from stream.domain.address import Address, format_address
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.tls import TlsFilesError, tls_context

SETTING = "--kafka or kafka.bootstrap"
ANSWER_TIMEOUT_S = 3.0
"""A login may take a second on a busy broker."""
LARGEST_ANSWER = 4 * 1024 * 1024

PRODUCE, METADATA, HANDSHAKE, API_VERSIONS, AUTHENTICATE = 0, 3, 17, 18, 36
OLDEST_PRODUCE = 3
"""Kafka 0.11 (June 2017): the first version of Kafka whose records have headers."""


class KafkaRefusedError(Exception):
    """The handshake does not come to its end.

    Attributes:
        problem: Why.
    """

    def __init__(self, problem: ServiceProblem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def broker_problem(kafka: KafkaSettings) -> ServiceProblem | None:
    """Return why clients cannot use the brokers of the settings, or None if they can. Blocking: takes a few seconds at most.

    One address of several is enough, as it is for clients.
    """
    problems: list[ServiceProblem] = []
    for address in parse_addresses(kafka.bootstrap):
        try:
            return _advertised_problem(address, shake_hands(kafka, address))
        except KafkaRefusedError as refused:
            problems.append(refused.problem)
    return next((problem for problem in problems if problem.lasting), problems[0])


def shake_hands(kafka: KafkaSettings, address: Address) -> tuple[Address, ...]:
    """Connect, log in and return the addresses of all brokers, as this one names them to clients. Raises `KafkaRefusedError`."""
    with closing(_connect(kafka, address)) as connection:
        exchange = _Exchange(connection)
        try:
            answer = exchange.ask(API_VERSIONS, b"")
        except (OSError, _NoAnswerError) as error:
            # In TLS 1.3 a server refuses the client only after the client's side of the handshake has ended.
            raise KafkaRefusedError(_wrong_protocol(kafka, address, error)) from None
        _require_version(address, answer)
        if kafka.security.startswith("sasl"):
            _log_in(kafka, address, exchange)
        try:
            return _brokers(exchange.ask(METADATA, struct.pack(">i", 0), version=1))
        except (OSError, _NoAnswerError, struct.error):
            raise KafkaRefusedError(_closed(kafka, address)) from None


class _NoAnswerError(Exception):
    """The connection was closed, or the answer is not Kafka's."""


class _Exchange:
    """Requests and answers on one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._correlation = 0

    def ask(self, key: int, body: bytes, version: int = 0) -> _Reader:
        """Return the body of the answer. Raises ``OSError`` and `_NoAnswerError`."""
        self._correlation += 1
        request = struct.pack(">hhih", key, version, self._correlation, -1) + body
        self._connection.sendall(struct.pack(">i", len(request)) + request)
        size, correlation = struct.unpack(">ii", self._read(8))
        if correlation != self._correlation or not 4 <= size <= LARGEST_ANSWER:
            raise _NoAnswerError
        return _Reader(self._read(size - 4))

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self._connection.recv(size - len(content))
            if not part:
                raise _NoAnswerError
            content += part
        return content


@dataclass(slots=True)
class _Reader:
    """Reads the fields of an answer in turn."""

    content: bytes
    at: int = 0

    def number(self, form: str) -> int:
        """An integer: ``h`` of 16 bits, ``i`` of 32."""
        (value,) = struct.unpack_from(f">{form}", self.content, self.at)
        self.at += struct.calcsize(f">{form}")
        return int(value)

    def bytes(self, form: str) -> bytes:
        """Bytes behind their length, empty for null."""
        size = max(0, self.number(form))
        self.at += size
        return self.content[self.at - size : self.at]

    def text(self) -> str:
        """A text behind its length."""
        return self.bytes("h").decode("utf-8", "replace")


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value.encode())) + value.encode()


def _refuse(code: str, text: str, *, lasting: bool = True) -> KafkaRefusedError:
    return KafkaRefusedError(ServiceProblem(code, text, lasting=lasting))


def _connect(kafka: KafkaSettings, address: Address) -> socket.socket:
    try:
        connection = socket.create_connection(address, CONNECT_TIMEOUT_S)
    except (OSError, UnicodeError):
        raise KafkaRefusedError(listener_problem("Kafka", address, _identify(address), SETTING)) from None
    connection.settimeout(ANSWER_TIMEOUT_S)
    if "ssl" not in kafka.security:
        return connection
    try:
        return tls_context(kafka).wrap_socket(connection, server_hostname=address[0])
    except TlsFilesError as error:
        connection.close()
        raise KafkaRefusedError(error.problem) from None
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise _certificate(kafka, address, error) from None
    except (OSError, ValueError) as error:
        connection.close()
        raise KafkaRefusedError(_wrong_protocol(kafka, address, error)) from None


def _tls_refused(kafka: KafkaSettings, address: Address) -> ServiceProblem:
    what = (
        "it does not trust the certificate in kafka.cert_file; name one that an authority of its truststore has signed"
        if kafka.cert_file
        else "it may want a certificate of the client; name one in kafka.cert_file, and its key in kafka.key_file"
    )
    return ServiceProblem("tls_refused", f"Kafka at {format_address(address)} refuses the TLS connection: {what}", lasting=True)


def _certificate(kafka: KafkaSettings, address: Address, error: ssl.SSLCertVerificationError) -> KafkaRefusedError:
    host = address[0]
    if error.verify_code in {62, 64}:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        text = f"the certificate of Kafka at {format_address(address)} is not for {host}; write a name that it has into {SETTING}"
    elif error.verify_code in {9, 10}:  # not yet valid, expired
        text = f"the certificate of Kafka at {format_address(address)} is not valid today; renew it, or correct the clock of this machine"
    else:
        signed = "not signed by the authority in kafka.ca_file" if kafka.ca_file else "not signed by an authority that this system knows"
        text = f"the certificate of Kafka at {format_address(address)} is {signed}; name the file of its authority in kafka.ca_file"
    return _refuse("certificate", text)


def _identify(address: Address) -> Listener:
    """Find out what listens there. In a thread of its own: the caller's may have a running event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, identify(*address)).result()


def _wrong_protocol(kafka: KafkaSettings, address: Address, error: Exception) -> ServiceProblem:
    """Why a server does not answer the first request, after this error."""
    if "ALERT" in (getattr(error, "reason", None) or ""):
        return _tls_refused(kafka, address)
    found, security, at = _identify(address), kafka.security, format_address(address)
    login = "sasl_" if security.startswith("sasl") else ""
    if found is Listener.TLS and "ssl" not in security:
        text = f"{at} expects TLS, and kafka.security is {security}; if it is Kafka, set kafka.security to {login}ssl"
        return ServiceProblem("tls_expected", text, lasting=True)
    if found is Listener.KAFKA and "ssl" in security:
        text = f"Kafka at {at} is without TLS, and kafka.security is {security}; set it to {login}plaintext"
        return ServiceProblem("no_tls", text, lasting=True)
    if found is Listener.TLS and not isinstance(error, TimeoutError):
        return _tls_refused(kafka, address)  # it closed the connection before its alert was read
    if found in {Listener.TLS, Listener.KAFKA}:
        return ServiceProblem("no_answer", f"Kafka at {at} does not answer in time; wait, or see its log", lasting=False)
    return listener_problem("Kafka", address, found, SETTING)


def _require_version(address: Address, answer: _Reader) -> None:
    at = format_address(address)
    answer.number("h")
    newest = {}
    for _ in range(answer.number("i")):
        key, _, newest[key] = answer.number("h"), answer.number("h"), answer.number("h")
    if METADATA not in newest:
        text = f"{at} is a port of a Kafka controller, not of a broker; correct {SETTING} (by default port 9092)"
        raise _refuse("wrong_port", text)
    if newest.get(PRODUCE, OLDEST_PRODUCE) < OLDEST_PRODUCE:
        raise _refuse("too_old", f"Kafka at {at} is older than 0.11, whose records have no headers; use Kafka 2.1 or newer")


def _log_in(kafka: KafkaSettings, address: Address, exchange: _Exchange) -> None:
    at, mechanism = format_address(address), kafka.sasl_mechanism
    try:
        answer = exchange.ask(HANDSHAKE, _text(mechanism), version=1)
    except (OSError, _NoAnswerError):
        raise _no_login(at, kafka) from None
    code = answer.number("h")
    offered = [answer.text() for _ in range(answer.number("i"))]
    if not offered or (code and mechanism in offered):
        raise _no_login(at, kafka)
    if mechanism not in offered:
        text = f"Kafka at {at} does not offer the login {mechanism}; set kafka.sasl_mechanism to {' or '.join(offered)}"
        raise _refuse("sasl_mechanism", text)
    try:
        _authenticate(kafka, address, exchange)
    except (OSError, _NoAnswerError):
        raise _refuse("no_answer", f"Kafka at {at} ends the login without an answer; wait, or see its log", lasting=False) from None


def _no_login(at: str, kafka: KafkaSettings) -> KafkaRefusedError:
    without = kafka.security.removeprefix("sasl_")
    return _refuse("no_login", f"Kafka at {at} wants no login, and kafka.security is {kafka.security}; set it to {without}")


def _authenticate(kafka: KafkaSettings, address: Address, exchange: _Exchange) -> None:
    password = kafka.password.get_secret_value() if kafka.password else ""
    wrong = _refuse(
        "login_refused",
        f"Kafka at {format_address(address)} refuses the login: correct kafka.username and kafka.password, or create this user in Kafka "
        f"for {kafka.sasl_mechanism}",
    )
    mechanism: Any = get_sasl_mechanism(kafka.sasl_mechanism)(
        host=address[0], sasl_mechanism=kafka.sasl_mechanism, sasl_plain_username=kafka.username, sasl_plain_password=password
    )
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = exchange.ask(AUTHENTICATE, struct.pack(">i", len(token)) + token)
        if answer.number("h"):
            raise wrong
        answer.text()
        try:
            mechanism.receive(answer.bytes("i"))
        except (ValueError, KeyError):  # a server that does not know the password either
            raise wrong from None


def _brokers(answer: _Reader) -> tuple[Address, ...]:
    brokers = []
    for _ in range(answer.number("i")):
        answer.number("i")
        brokers.append((answer.text(), answer.number("i")))
        answer.text()
    return tuple(brokers)


def _closed(kafka: KafkaSettings, address: Address) -> ServiceProblem:
    """Why a broker that has answered the first request does not answer the second one."""
    at = format_address(address)
    if kafka.security.startswith("sasl"):
        return ServiceProblem("no_answer", f"Kafka at {at} does not answer after the login; see its log", lasting=False)
    text = f"Kafka at {at} wants a login, and kafka.security is {kafka.security}; set it to sasl_{kafka.security}"
    return ServiceProblem("login_needed", text + ", and set kafka.username and kafka.password", lasting=True)


def _advertised_problem(address: Address, brokers: tuple[Address, ...]) -> ServiceProblem | None:
    """Whether clients, which use the addresses that the broker names and not the one of the settings, will get there."""
    at = format_address(address)
    if not brokers:
        return ServiceProblem("no_brokers", f"Kafka at {at} is starting: it knows no broker yet; wait", lasting=False)
    with ThreadPoolExecutor(min(8, len(brokers))) as threads:
        reached = list(threads.map(_connects, brokers))
    if all(reached):
        return None
    away = ", ".join(format_address(broker) for broker, is_reached in zip(brokers, reached, strict=True) if not is_reached)
    text = (
        f"Kafka at {at} tells its clients to use {away}, which cannot be reached from here: correct advertised.listeners "
        "in the broker's server.properties, or the network between here and there"
    )
    # If only some brokers cannot be reached, they may just be down, and the others do their work.
    return ServiceProblem("advertised_listener", text, lasting=not any(reached), serious=not any(reached))


def _connects(address: Address) -> bool:
    try:
        socket.create_connection(address, CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError):
        return False
    return True
