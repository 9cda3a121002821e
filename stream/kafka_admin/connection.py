"""Connection options of kafka-python, the same for producers, consumers and admin clients, and its errors as sentences for users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import AuthorizationError, KafkaError, SaslAuthenticationFailedError

from stream.config.settings import KafkaSettings
from stream.kafka_admin.errors import BrokerError

CONNECT_TIMEOUT_MS = 5_000
"""A broker that is up answers within a second. kafka-python's default of 30 s would leave users waiting in front of a wrong address."""


def kafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for every kafka-python client: addresses, security, time-out of the connection."""
    options: dict[str, Any] = {
        "bootstrap_servers": [address.strip() for address in kafka.bootstrap.split(",") if address.strip()],
        "client_id": "sentistream",
        "security_protocol": kafka.security.upper(),
        "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
    }
    if kafka.ca_file is not None:
        options["ssl_cafile"] = str(kafka.ca_file)
    if kafka.security.startswith("sasl") and kafka.password is not None:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password.get_secret_value(),
        }
    return options


@contextmanager
def broker_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Turn kafka-python's errors into a `BrokerError` with one clear sentence.

    The causes are dropped (``from None``): their messages may quote credentials.
    """
    try:
        yield
    except SaslAuthenticationFailedError:
        raise BrokerError(f"Kafka at {kafka.bootstrap} refuses the login: check kafka.username and kafka.password") from None
    except AuthorizationError as error:
        raise BrokerError(
            f"Kafka at {kafka.bootstrap} does not allow this ({type(error).__name__}): ask its administrator for access to the topics"
        ) from None
    except KafkaError as error:
        raise BrokerError(
            f"Kafka does not answer at {kafka.bootstrap} ({type(error).__name__}): start the broker (`sentistream up` starts one), "
            "or name another with --kafka HOST:PORT or kafka.bootstrap"
        ) from None
    # Raised while a client is made, for example for a certificate file that does not exist.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BrokerError(f"the connection to Kafka at {kafka.bootstrap} cannot be set up ({reason}): check the kafka settings") from None
