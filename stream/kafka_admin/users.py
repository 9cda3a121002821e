"""Gives users of Kafka their passwords and their rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from stream.config.service_settings import KafkaSettings
from stream.kafka_admin.connection import broker_errors, kafka_options, require_broker
from stream.kafka_admin.rights import Right

KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


def set_passwords(kafka: KafkaSettings, passwords: Mapping[str, str]) -> None:
    """Create users that log in with ``kafka.sasl_mechanism``, or change their passwords. Blocking.

    Raises:
        ValueError: The mechanism is PLAIN, whose users stand in the broker's own configuration.
        BrokerError: The broker is away, or does not allow it.
    """
    if kafka.sasl_mechanism == "PLAIN":
        raise ValueError("kafka.sasl_mechanism is PLAIN: the passwords of its users stand in the broker's configuration; use SCRAM-SHA-512")
    changes = [UserScramCredentialUpsertion(user, kafka.sasl_mechanism, password) for user, password in passwords.items()]
    require_broker(kafka)
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        admin.alter_user_scram_credentials(changes)


def grant(kafka: KafkaSettings, rights: Mapping[str, Iterable[Right]]) -> None:
    """Give users rights, by principal (``User:NAME``). Rights that they have already stay. Blocking. Raises `BrokerError`."""
    acls = [_acl(principal, right) for principal, granted in rights.items() for right in granted]
    require_broker(kafka)
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        admin.create_acls(acls)


def _acl(principal: str, right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(KINDS[right.kind], right.name, pattern)
    return ACL(principal, "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, resource)
