"""Connection options of kafka-python, the same for producers, consumers and admin clients, and its errors as sentences for users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import errors
from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidGroupIdError,
    InvalidReplicationFactorError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
    UnrecognizedBrokerVersion,
    UnsupportedVersionError,
)

from stream.config.service_settings import KafkaSettings
from stream.domain.media_format import MAX_RECORD_BYTES
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.errors import BrokerError, WrongBrokerError
from stream.kafka_admin.handshake import broker_problem
from stream.kafka_admin.tls import tls_context

CONNECT_TIMEOUT_MS = 5_000
"""A broker that is up answers within a second. kafka-python's default of 30 s would leave users waiting in front of a wrong address."""


def kafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for every kafka-python client: addresses, security, time-out of the connection. Raises `TlsFilesError`."""
    options: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in kafka.bootstrap.split(",") if address.strip()],
        "client_id": "sentistream",
        "security_protocol": kafka.security.upper(),
        "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
    }
    if "ssl" in kafka.security:
        options["ssl_context"] = tls_context(kafka)
    if kafka.security.startswith("sasl") and kafka.password is not None:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password.get_secret_value(),
        }
    return options


def require_broker(kafka: KafkaSettings) -> None:
    """Check that clients can use a broker of the settings. Blocking: milliseconds if they can. Raises `BrokerError`."""
    problem = broker_problem(kafka)
    if problem is not None and problem.serious:
        raise as_error(problem)


def as_error(problem: ServiceProblem) -> BrokerError:
    """The error for a problem."""
    return (WrongBrokerError if problem.lasting else BrokerError)(problem.text)


def consumer_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for every consumer of kafka-python: aborted records are not read, and nothing is committed by itself."""
    return kafka_options(kafka) | {"isolation_level": "read_committed", "enable_auto_commit": False}


@contextmanager
def broker_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Turn kafka-python's errors into a `BrokerError` with one clear sentence.

    The causes are dropped (``from None``): their messages may quote credentials.
    """
    try:
        yield
    except KafkaError as error:
        raise _explained(kafka, error) from None
    # Raised while a client is made, for example for a certificate file that does not exist.
    except (OSError, ValueError) as error:
        problem = broker_problem(kafka)
        reason = getattr(error, "strerror", None) or type(error).__name__
        text = f"the connection to Kafka at {kafka.bootstrap} cannot be set up ({reason}): check the kafka settings"
        raise as_error(problem) if problem else BrokerError(text) from None


_WRONG: tuple[tuple[tuple[type[KafkaError], ...], str], ...] = (
    ((SaslAuthenticationFailedError,), "refuses the login: correct kafka.username and kafka.password"),
    (
        (GroupAuthorizationFailedError,),
        "does not allow this user the group {kafka.group}: give it READ on the group, or correct kafka.group",
    ),
    (
        (AuthorizationError,),
        "does not allow this user what it asks for ({name}): give it CREATE, DESCRIBE, READ and WRITE on the topics that begin with "
        "kafka.topic_prefix ({kafka.topic_prefix!r})",
    ),
    (
        (InvalidReplicationFactorError,),
        "has fewer brokers than kafka.replication, which is {kafka.replication}: lower it, or start more brokers",
    ),
    (
        (PolicyViolationError,),
        "has a policy that refuses topics with these kafka.partitions and kafka.replication: change them, or create the topics yourself",
    ),
    (
        (InvalidSessionTimeoutError,),
        "does not allow kafka.session_timeout_s: {kafka.session_timeout_s:g} is outside of its group.min.session.timeout.ms and "
        "group.max.session.timeout.ms (by default 6 s to 30 min)",
    ),
    ((InvalidGroupIdError,), "refuses the name of the group: correct kafka.group"),
    ((InvalidTopicError,), "refuses the name of a topic: correct kafka.topic_prefix"),
    (
        (MessageSizeTooLargeError, RecordListTooLargeError),
        f"refuses a record as too large: set max.message.bytes of the topics, or message.max.bytes of the broker, to {MAX_RECORD_BYTES} "
        "or more",
    ),
    (
        (UnknownTopicOrPartitionError,),
        "does not have the topics: start a worker, which creates them, or correct kafka.topic_prefix",
    ),
    (
        (IncompatibleBrokerVersion, UnsupportedVersionError, UnrecognizedBrokerVersion),
        "lacks a request that sentistream needs: use Kafka 2.1 or newer",
    ),
)
"""Errors that say what is wrong, and the sentence for each; it begins with "Kafka at HOST:PORT"."""


THE_GROUP = "the group"

_DENIED = {"TopicAuthorizationFailedError": "topic_denied", "GroupAuthorizationFailedError": "group_denied"}
"""The codes of `stream.kafka_admin.access` for the same."""


def refusal(kafka: KafkaSettings, error: str, topic: str) -> ServiceProblem:
    """The problem for the name of an error with which a topic or the group is refused; aiokafka and kafka-python use the same names."""
    cls = getattr(errors, error, None)
    sentence = _sentence(cls) if isinstance(cls, type) else None
    at = f"Kafka at {kafka.bootstrap}"
    if sentence is None:
        what = "keep this worker in" if topic == THE_GROUP else "take records for"
        return ServiceProblem("refused_request", f"{at} does not {what} {topic} ({error}); see its log", lasting=False)
    return ServiceProblem(
        _DENIED.get(error, "refused_request"), f"{at} {sentence.format(kafka=kafka, name=f'{error}, {topic}')}", lasting=True
    )


def _sentence(cls: type) -> str | None:
    return next((sentence for classes, sentence in _WRONG if issubclass(cls, classes)), None)


def _explained(kafka: KafkaSettings, error: KafkaError) -> BrokerError:
    sentence = _sentence(type(error))
    if sentence is not None:
        return WrongBrokerError(f"Kafka at {kafka.bootstrap} " + sentence.format(kafka=kafka, name=type(error).__name__))
    # Time-outs and lost connections: kafka-python does not say why.
    problem = broker_problem(kafka)
    if problem is not None:
        return as_error(problem)
    return BrokerError(
        f"Kafka does not answer at {kafka.bootstrap} ({type(error).__name__}): start the broker (`sentistream up` starts one), "
        "or name another with --kafka HOST:PORT or kafka.bootstrap"
    )
