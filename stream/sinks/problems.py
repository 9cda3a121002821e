"""Names what is wrong with Redis, and what to do: one table for the worker's log, /ready, `doctor` and every command.

The texts are written here. They never quote an error of Redis or of its client, which may hold a user, a password or a person's words.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError,  # noqa: A004 (redis-py's name)
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from stream.aio.outage import ServiceError
from stream.domain.service_problem import ServiceProblem

SETTING = "redis.url (SENTISTREAM_REDIS__URL or --redis)"
OLDEST = "6.2"
"""Oldest Redis that can be used: it answers HELLO, and knows ranges of a stream without their first entry."""


class Remedy(Enum):
    """Who can end a problem."""

    WAIT = auto()
    """It passes by itself, or when the server is started again: an outage."""
    SERVER = auto()
    """Somebody has to mend the server. Whoever waits goes on after that."""
    SETTING = auto()
    """The setting names another server, user or database than was meant, or the user lacks a right. Waiting does not help."""


class RedisProblem(StrEnum):
    """What can be wrong with Redis. The value is the code in logs, in /ready and in the table of docs/operations.md."""

    AWAY = "away"
    NO_ANSWER = "no_answer"
    LOADING = "loading"
    NODE_AWAY = "node_away"
    CLUSTER_DOWN = "cluster_down"
    SLOT_MOVES = "slot_moves"
    PRIMARY_AWAY = "primary_away"
    NO_PRIMARY = "no_primary"
    READ_ONLY = "read_only"
    BUSY = "busy"
    HANGS_UP = "hangs_up"
    HOST_UNKNOWN = "host_unknown"
    OUT_OF_MEMORY = "out_of_memory"
    CANNOT_SAVE = "cannot_save"
    TOO_FEW_REPLICAS = "too_few_replicas"
    UNCONFIRMED = "unconfirmed"
    TOO_MANY_CLIENTS = "too_many_clients"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 (a code)
    PASSWORD_NEEDED = "password_needed"  # noqa: S105 (a code)
    PASSWORD_UNKNOWN = "password_unknown"  # noqa: S105 (a code)
    NO_PERMISSION = "no_permission"
    NO_ACCESS = "no_access"
    NO_SUCH_DATABASE = "no_such_database"
    PROTECTED = "protected"
    TOO_OLD = "too_old"
    COMMAND_MISSING = "command_missing"
    NOT_REDIS = "not_redis"
    SENTINEL = "sentinel"
    NO_SENTINEL = "no_sentinel"
    NO_SUCH_PRIMARY = "no_such_primary"
    CLUSTER_BY_SOCKET = "cluster_by_socket"
    TLS_NEEDED = "tls_needed"
    NO_TLS = "no_tls"
    CERTIFICATE = "certificate"
    CERTIFICATE_NEEDED = "certificate_needed"
    KEYS_IN_USE = "keys_in_use"
    UNEXPECTED = "unexpected"

    @property
    def remedy(self) -> Remedy:
        """Who can end it."""
        return _TABLE[self][0]

    @property
    def ends_a_start(self) -> bool:
        """Whether a worker that finds it at its start should not begin. A read-only replica is given the time of a failover before."""
        return self.remedy is Remedy.SETTING or self is RedisProblem.READ_ONLY


_TABLE: dict[RedisProblem, tuple[Remedy, str, str]] = {
    RedisProblem.AWAY: (Remedy.WAIT, "does not answer", f"start it, or correct {SETTING}"),
    RedisProblem.NO_ANSWER: (
        Remedy.WAIT,
        "accepts connections but does not answer in time",
        "look whether it hangs or is overloaded, or raise redis.timeout_s",
    ),
    RedisProblem.LOADING: (Remedy.WAIT, "is loading its data", "wait: it answers when it is done"),
    RedisProblem.NODE_AWAY: (
        Remedy.WAIT,
        "belongs to a cluster of which a node does not answer",
        "start the node, or let its replica take over; if it runs, set cluster-announce-ip to an address that can be reached from here",
    ),
    RedisProblem.CLUSTER_DOWN: (
        Remedy.WAIT,
        "belongs to a cluster that is down, or in which no node has some of the slots",
        "start the missing nodes, or let a replica take over; CLUSTER INFO shows the state",
    ),
    RedisProblem.SLOT_MOVES: (Remedy.WAIT, "is moving a slot to another node of the cluster", "wait until the slot is moved"),
    RedisProblem.PRIMARY_AWAY: (Remedy.WAIT, "is a replica whose primary is away", f"start the primary, or name it in {SETTING}"),
    RedisProblem.NO_PRIMARY: (
        Remedy.WAIT,
        "is a Sentinel that knows no working primary now",
        f"wait for the failover, start the primary, or correct its name in {SETTING}",
    ),
    RedisProblem.READ_ONLY: (
        Remedy.SERVER,
        "is a read-only replica",
        f"name the primary in {SETTING}, or let Sentinel find it (redis+sentinel://); during a failover, wait",
    ),
    RedisProblem.BUSY: (
        Remedy.SERVER,
        "is busy with a script of another application",
        "wait until the script ends, or end it with SCRIPT KILL; use a Redis of its own for sentistream",
    ),
    RedisProblem.HANGS_UP: (
        Remedy.SERVER,
        "accepts connections and closes them without an answer",
        f"look whether another service or a proxy has this port, and correct host and port in {SETTING}",
    ),
    RedisProblem.HOST_UNKNOWN: (Remedy.SERVER, "has a host name that no name server knows", f"correct the host in {SETTING}"),
    RedisProblem.OUT_OF_MEMORY: (
        Remedy.SERVER,
        "has reached its maxmemory and takes no more data",
        "raise maxmemory, or lower redis.result_ttl_s and redis.stream_length",
    ),
    RedisProblem.CANNOT_SAVE: (
        Remedy.SERVER,
        "takes no data because it cannot save to its disk (MISCONF)",
        "free disk space or correct its dir, and see its log",
    ),
    RedisProblem.TOO_FEW_REPLICAS: (
        Remedy.SERVER,
        "takes no data because it has fewer replicas than min-replicas-to-write",
        "start the replicas, or lower min-replicas-to-write",
    ),
    RedisProblem.UNCONFIRMED: (
        Remedy.SERVER,
        "has fewer replicas that keep up than redis.confirm_replicas asks for",
        "start its replicas and see what holds them up, or lower redis.confirm_replicas",
    ),
    RedisProblem.TOO_MANY_CLIENTS: (Remedy.SERVER, "has as many clients as maxclients allows", "raise maxclients, or stop some clients"),
    RedisProblem.WRONG_PASSWORD: (Remedy.SETTING, "refuses the user and password", f"correct them in {SETTING}"),
    RedisProblem.PASSWORD_NEEDED: (Remedy.SETTING, "asks for a password", f"write it into {SETTING}: redis://:PASSWORD@HOST:PORT/0"),
    RedisProblem.PASSWORD_UNKNOWN: (Remedy.SETTING, "has no password set, but one is given", f"remove it from {SETTING}"),
    RedisProblem.NO_PERMISSION: (
        Remedy.SETTING,
        "does not permit the user what sentistream needs",
        f"give the user of {SETTING} the rights that docs/operations.md lists",
    ),
    RedisProblem.NO_ACCESS: (
        Remedy.SETTING,
        "has a socket file that this process may not use",
        f"correct its permissions, or the path in {SETTING}",
    ),
    RedisProblem.NO_SUCH_DATABASE: (
        Remedy.SETTING,
        "has no database of that number",
        f"correct the number at the end of {SETTING}, which is 0 on Redis Cluster, or raise its setting databases",
    ),
    RedisProblem.PROTECTED: (
        Remedy.SETTING,
        "is in protected mode and takes connections of its own machine only",
        f"set a password in Redis, and write it into {SETTING}",
    ),
    RedisProblem.TOO_OLD: (
        Remedy.SETTING,
        f"is older than Redis {OLDEST}, or a proxy that does not know HELLO",
        f"use Redis {OLDEST} or later, or Valkey",
    ),
    RedisProblem.COMMAND_MISSING: (
        Remedy.SETTING,
        "lacks a command that sentistream needs",
        "use Redis or Valkey itself, without renamed commands (rename-command), and not a proxy that leaves out scripts",
    ),
    RedisProblem.NOT_REDIS: (Remedy.SETTING, "is not Redis: it answers in another protocol", f"correct host and port in {SETTING}"),
    RedisProblem.SENTINEL: (
        Remedy.SETTING,
        "is a Sentinel and not Redis itself",
        f"write redis+sentinel://HOST:PORT/PRIMARY/0 into {SETTING}, with the name by which the Sentinel knows the primary",
    ),
    RedisProblem.NO_SENTINEL: (
        Remedy.SETTING,
        "is Redis itself and not a Sentinel",
        f"write redis:// into {SETTING}, or name the port of a Sentinel (usually 26379)",
    ),
    RedisProblem.NO_SUCH_PRIMARY: (
        Remedy.SETTING,
        "is a Sentinel that knows no primary of that name",
        f"correct the name in {SETTING}: redis+sentinel://HOST:PORT/PRIMARY/0",
    ),
    RedisProblem.CLUSTER_BY_SOCKET: (
        Remedy.SETTING,
        "is a node of a Redis Cluster, whose other nodes a socket does not reach",
        f"write redis://HOST:PORT/0 into {SETTING}",
    ),
    RedisProblem.TLS_NEEDED: (Remedy.SETTING, "answers only with TLS", f"write rediss:// instead of redis:// into {SETTING}"),
    RedisProblem.NO_TLS: (Remedy.SETTING, "answers only without TLS", f"write redis:// instead of rediss:// into {SETTING}"),
    RedisProblem.CERTIFICATE: (
        Remedy.SETTING,
        "has a certificate that cannot be verified",
        f"append ?ssl_ca_certs=FILE with its certificate authority to {SETTING}, and use the host name for which it was issued",
    ),
    RedisProblem.CERTIFICATE_NEEDED: (
        Remedy.SETTING,
        "refuses the TLS connection: it wants a certificate of the client, or does not trust the one that it gets",
        f"append &ssl_certfile=FILE&ssl_keyfile=FILE to {SETTING}, with a certificate that its authority has signed",
    ),
    RedisProblem.KEYS_IN_USE: (
        Remedy.SETTING,
        "holds keys named sentistream:… of another kind",
        f"name a database in {SETTING} that no other application uses",
    ),
    RedisProblem.UNEXPECTED: (Remedy.SERVER, "gives an answer that sentistream does not know", "see the log of Redis for the reason"),
}


class RedisUnusableError(ServiceError, ConnectionError):
    """Redis cannot be used now. Waiting may help. It is a ``redis.exceptions.ConnectionError`` for those who catch redis-py's errors.

    Attributes:
        diagnosis: Why.
    """

    def __init__(self, diagnosis: Diagnosis, address: str) -> None:
        ServiceError.__init__(self, diagnosis.problem, diagnosis.sentence(address))
        self.diagnosis = diagnosis


class RedisRefusedError(RedisUnusableError):
    """Redis cannot be used with these settings. Waiting does not help."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A problem, said in words.

    Attributes:
        problem: Its code.
        found: What is wrong; follows "Redis at HOST:PORT".
        fix: What to do.
    """

    problem: RedisProblem
    found: str
    fix: str

    def sentence(self, address: str) -> str:
        """One sentence about the Redis at an address, which holds no secret."""
        return f"Redis at {address} {self.found}; {self.fix}"

    def as_problem(self, address: str, *, lasting: bool) -> ServiceProblem:
        """The problem as a worker reports it."""
        return ServiceProblem(self.problem.value, self.sentence(address), lasting=lasting)

    def as_error(self, address: str) -> RedisUnusableError:
        """The error to raise where waiting is no answer."""
        kind = RedisRefusedError if self.problem.remedy is Remedy.SETTING else RedisUnusableError
        return kind(self, address)


def diagnosis(problem: RedisProblem, detail: str = "") -> Diagnosis:
    """The words for a problem; a detail, for example the command that is not permitted, is added in brackets."""
    _, found, fix = _TABLE[problem]
    return Diagnosis(problem, f"{found} ({detail})" if detail else found, fix)


def diagnose(error: BaseException) -> Diagnosis | None:
    """What an error of Redis, of its client or of the connection says; None for an error that is none of these, which is a bug.

    uvloop raises a ``RuntimeError`` for a write to a connection that has just been cut. It is an outage as well.
    """
    if isinstance(error, RedisUnusableError):
        return error.diagnosis
    if isinstance(error, RedisClusterException):
        cause = error.__cause__ or error.__context__
        return (diagnose(cause) if cause else None) or diagnosis(RedisProblem.CLUSTER_DOWN)
    if isinstance(error, RuntimeError) and "handler is closed" in str(error):
        return diagnosis(RedisProblem.AWAY)
    if isinstance(error, ResponseError | AuthenticationError | BusyLoadingError):
        return _of_answer(error)
    if isinstance(error, RedisError | OSError):
        return _of_connection(error)
    return None


_BY_TYPE: tuple[tuple[type[RedisError], RedisProblem], ...] = (
    (AuthenticationWrongNumberOfArgsError, RedisProblem.TOO_OLD),
    (BusyLoadingError, RedisProblem.LOADING),
    (MasterDownError, RedisProblem.PRIMARY_AWAY),
    (ClusterDownError, RedisProblem.CLUSTER_DOWN),
    (AskError, RedisProblem.SLOT_MOVES),
    (TryAgainError, RedisProblem.SLOT_MOVES),
    (ReadOnlyError, RedisProblem.READ_ONLY),
    (OutOfMemoryError, RedisProblem.OUT_OF_MEMORY),
)

_BY_TEXT: tuple[tuple[str, RedisProblem], ...] = (
    (r"^MISCONF", RedisProblem.CANNOT_SAVE),
    (r"^NOREPLICAS", RedisProblem.TOO_FEW_REPLICAS),
    (r"^BUSY ", RedisProblem.BUSY),
    (r"^DENIED", RedisProblem.PROTECTED),
    (r"^WRONGTYPE", RedisProblem.KEYS_IN_USE),
    (r"^DB index is out of range|^invalid DB index|SELECT is not allowed in cluster mode", RedisProblem.NO_SUCH_DATABASE),
    (r"^NOPROTO|unknown command.{0,3}hello", RedisProblem.TOO_OLD),
    (r"unknown command.{0,3}sentinel", RedisProblem.NO_SENTINEL),
    (r"unknown command.{0,3}select", RedisProblem.SENTINEL),
    (r"unknown command|unknown redis command|unknown subcommand", RedisProblem.COMMAND_MISSING),
    (r"max number of clients", RedisProblem.TOO_MANY_CLIENTS),
    (r"without any password configured|no password is set", RedisProblem.PASSWORD_UNKNOWN),
    (r"^No such master with that name", RedisProblem.NO_SUCH_PRIMARY),
)
"""Beginnings of answers for which redis-py has no class. It leaves out the code ``ERR``."""


def _of_answer(error: RedisError) -> Diagnosis | None:
    """What an error that Redis answered says."""
    text = str(error)
    if isinstance(error, NoPermissionError) or re.search(r"^ACL failure|No permissions to|user executing the script", text):
        return diagnosis(RedisProblem.NO_PERMISSION, _not_permitted(text))
    for kind, problem in _BY_TYPE:
        if isinstance(error, kind):
            return diagnosis(problem)
    for pattern, problem in _BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            return diagnosis(problem)
    if isinstance(error, AuthenticationError):
        needed = error.status_code == "NOAUTH"
        return diagnosis(RedisProblem.PASSWORD_NEEDED if needed else RedisProblem.WRONG_PASSWORD)
    return None


def _not_permitted(text: str) -> str:
    """What the user may not do, without the user's name."""
    command = re.search(r"'([A-Za-z|_-]{1,40})' (?:command|subcommand)", text)
    if command:
        return f"the command {command[1].upper()}"
    if "channel" in text:
        return "the channels sentistream:{…}:nudge"
    return "the keys sentistream:*" if "key" in text else ""


_OF_CONNECTION: tuple[tuple[type[BaseException], RedisProblem], ...] = (
    (ssl.SSLCertVerificationError, RedisProblem.CERTIFICATE),
    (ssl.SSLError, RedisProblem.NO_TLS),
    (socket.gaierror, RedisProblem.HOST_UNKNOWN),
    (PermissionError, RedisProblem.NO_ACCESS),
    (InvalidResponse, RedisProblem.NOT_REDIS),
    (ClusterError, RedisProblem.SLOT_MOVES),
)


def _of_connection(error: RedisError | OSError) -> Diagnosis:
    """What an error of the client or of the connection says."""
    for cause in _causes(error):
        if isinstance(cause, ResponseError | AuthenticationError) and (found := _of_answer(cause)) is not None:
            return found
        if isinstance(cause, MasterNotFoundError) and " : " not in str(cause):
            return diagnosis(RedisProblem.NO_PRIMARY)
        # What the server answers to a client whose certificate it does not take; only a server with TLS sends alerts.
        if isinstance(cause, ssl.SSLError) and "ALERT" in (getattr(cause, "reason", None) or ""):
            return diagnosis(RedisProblem.CERTIFICATE_NEEDED)
        for kind, problem in _OF_CONNECTION:
            if isinstance(cause, kind):
                return diagnosis(problem)
    if "max number of clients" in str(error):
        return diagnosis(RedisProblem.TOO_MANY_CLIENTS)
    timed_out = isinstance(error, RedisTimeoutError | TimeoutError) and "connecting" not in str(error)
    return diagnosis(RedisProblem.NO_ANSWER if timed_out else RedisProblem.AWAY)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found
