"""The TLS context of every client of Kafka, and what is wrong with its files."""

from __future__ import annotations

import ssl

from stream.config.service_settings import KafkaSettings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.errors import WrongBrokerError


class TlsFilesError(WrongBrokerError):
    """A file of TLS that the settings name cannot be used.

    Attributes:
        problem: Which one, and why.
    """

    def __init__(self, problem: ServiceProblem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """The context with which to connect: TLS 1.2 or newer. Raises `TlsFilesError`."""
    context = _verifying(kafka)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = kafka.check_hostname
    if kafka.cert_file is not None:
        _show_certificate(kafka, context)
    return context


def _verifying(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(kafka.ca_file) if kafka.ca_file else None)
    except ssl.SSLError:
        text = f"kafka.ca_file: {kafka.ca_file} holds no certificate in PEM form; name another file"
        raise TlsFilesError(ServiceProblem("bad_ca_file", text, lasting=True)) from None
    except (OSError, ValueError) as error:
        text = f"kafka.ca_file: {kafka.ca_file} cannot be used ({_reason(error)}); name another file"
        raise TlsFilesError(ServiceProblem("bad_ca_file", text, lasting=True)) from None


def _show_certificate(kafka: KafkaSettings, context: ssl.SSLContext) -> None:
    files = f"kafka.cert_file: {kafka.cert_file}" + (f" with kafka.key_file: {kafka.key_file}" if kafka.key_file else "")
    # Without a password OpenSSL would ask for one at the terminal.
    password = kafka.key_password.get_secret_value() if kafka.key_password else ""
    try:
        context.load_cert_chain(str(kafka.cert_file), str(kafka.key_file) if kafka.key_file else None, password=lambda: password)
    except ssl.SSLError:
        text = (
            f"{files} cannot be used: they must be a certificate and its own key in PEM form, with the right kafka.key_password if the "
            "key is encrypted"
        )
        raise TlsFilesError(ServiceProblem("bad_cert_file", text, lasting=True)) from None
    except (OSError, ValueError) as error:
        text = f"{files} cannot be used ({_reason(error)}); name other files"
        raise TlsFilesError(ServiceProblem("bad_cert_file", text, lasting=True)) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it cannot be read"
