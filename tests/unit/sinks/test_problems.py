"""Errors of Redis are named by a code and said in words that quote nothing of them."""

from __future__ import annotations

import inspect
import re
import socket
import ssl
from pathlib import Path
from typing import cast

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser
from redis.asyncio.sentinel import MasterNotFoundError

from stream.cli.errors import describe
from stream.sinks import scripts
from stream.sinks.problems import RedisProblem, Remedy, diagnose, diagnosis


def answered(text: str) -> Exception:
    """The error that redis-py makes of an error answer."""
    return cast(Exception, BaseParser.parse_error(text))  # type: ignore[no-untyped-call]


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", RedisProblem.WRONG_PASSWORD),
        ("NOAUTH Authentication required.", RedisProblem.PASSWORD_NEEDED),
        ("NOAUTH HELLO must be called with the client already authenticated, otherwise", RedisProblem.PASSWORD_NEEDED),
        ("ERR invalid password", RedisProblem.WRONG_PASSWORD),
        (
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            RedisProblem.PASSWORD_UNKNOWN,
        ),
        ("ERR Client sent AUTH, but no password is set", RedisProblem.PASSWORD_UNKNOWN),
        ("ERR DB index is out of range", RedisProblem.NO_SUCH_DATABASE),
        ("ERR invalid DB index", RedisProblem.NO_SUCH_DATABASE),
        ("ERR SELECT is not allowed in cluster mode", RedisProblem.NO_SUCH_DATABASE),
        ("READONLY You can't write against a read only replica.", RedisProblem.READ_ONLY),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", RedisProblem.CANNOT_SAVE),
        ("MISCONF Errors writing to the AOF file: No space left on device", RedisProblem.CANNOT_SAVE),
        ("OOM command not allowed when used memory > 'maxmemory'.", RedisProblem.OUT_OF_MEMORY),
        ("LOADING Redis is loading the dataset in memory", RedisProblem.LOADING),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", RedisProblem.BUSY),
        ("CLUSTERDOWN The cluster is down", RedisProblem.CLUSTER_DOWN),
        ("CLUSTERDOWN Hash slot not served", RedisProblem.CLUSTER_DOWN),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", RedisProblem.PRIMARY_AWAY),
        ("TRYAGAIN Multiple keys request during rehashing of slot", RedisProblem.SLOT_MOVES),
        ("MOVED 3999 127.0.0.1:6381", RedisProblem.SLOT_MOVES),
        ("ASK 3999 127.0.0.1:6381", RedisProblem.SLOT_MOVES),
        ("NOREPLICAS Not enough good replicas to write.", RedisProblem.TOO_FEW_REPLICAS),
        ("DENIED Redis is running in protected mode because protected mode is enabled", RedisProblem.PROTECTED),
        ("ERR max number of clients reached", RedisProblem.TOO_MANY_CLIENTS),
        ("ERR unknown command 'HELLO', with args beginning with: '3' ", RedisProblem.TOO_OLD),
        ("ERR unknown command `HELLO`, with args beginning with: `3`, ", RedisProblem.TOO_OLD),
        ("NOPROTO unsupported protocol version", RedisProblem.TOO_OLD),
        ("ERR unknown command 'EVALSHA', with args beginning with: 'x'", RedisProblem.COMMAND_MISSING),
        ("ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS'", RedisProblem.NO_SENTINEL),
        ("ERR unknown command 'SELECT', with args beginning with: '1'", RedisProblem.SENTINEL),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", RedisProblem.KEYS_IN_USE),
        ("NOPERM User alice has no permissions to run the 'evalsha' command", RedisProblem.NO_PERMISSION),
        ("NOPERM this user has no permissions to access one of the keys used as arguments", RedisProblem.NO_PERMISSION),
        ("NOPERM No permissions to access a channel", RedisProblem.NO_PERMISSION),
        ("ERR ACL failure in script: No permissions to access a key script: on @user_script:1.", RedisProblem.NO_PERMISSION),
        ("ERR The user executing the script can't run this command or subcommand script: 1f", RedisProblem.NO_PERMISSION),
    ],
)
def test_answers_of_redis_are_named(answer: str, problem: RedisProblem) -> None:
    found = diagnose(answered(answer))
    assert found is not None
    assert found.problem is problem
    assert "alice" not in found.sentence("h:1")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (exceptions.ConnectionError("Error 111 connecting to alice:1"), RedisProblem.AWAY),
        (exceptions.ConnectionError("Connection closed by server."), RedisProblem.AWAY),
        (exceptions.TimeoutError("Timeout reading from h:1"), RedisProblem.NO_ANSWER),
        (exceptions.TimeoutError("Timeout connecting to server"), RedisProblem.AWAY),
        (exceptions.InvalidResponse('Protocol error, got "H" as reply type byte'), RedisProblem.NOT_REDIS),
        (exceptions.ClusterError("TTL exhausted."), RedisProblem.SLOT_MOVES),
        (exceptions.RedisClusterException("All slots are not covered"), RedisProblem.CLUSTER_DOWN),
        (caused(exceptions.RedisClusterException("no node"), answered("WRONGPASS no")), RedisProblem.WRONG_PASSWORD),
        (caused(exceptions.ConnectionError("x"), socket.gaierror(-2, "Name or service not known")), RedisProblem.HOST_UNKNOWN),
        (caused(exceptions.ConnectionError("x"), ssl.SSLCertVerificationError("x")), RedisProblem.CERTIFICATE),
        (caused(exceptions.ConnectionError("x"), ssl.SSLError("WRONG_VERSION_NUMBER")), RedisProblem.NO_TLS),
        (caused(exceptions.ConnectionError("x"), PermissionError(13, "x")), RedisProblem.NO_ACCESS),
        (MasterNotFoundError("No master found for 'm'"), RedisProblem.NO_PRIMARY),
        (MasterNotFoundError("No master found for 'm' : Redis<x> - ConnectionError(y)"), RedisProblem.AWAY),
        (ConnectionResetError(), RedisProblem.AWAY),
    ],
)
def test_errors_of_the_connection_are_named(error: BaseException, problem: RedisProblem) -> None:
    found = diagnose(error)
    assert found is not None
    assert found.problem is problem


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("broken"), answered("ERR syntax error"), answered("EXECABORT x")])
def test_other_errors_are_no_problem_of_redis(error: Exception) -> None:
    assert diagnose(error) is None


@pytest.mark.parametrize("problem", RedisProblem)
def test_every_problem_says_what_to_do_and_has_an_exit_code(problem: RedisProblem) -> None:
    found = diagnosis(problem)
    error = found.as_error("h:1")
    assert (str(error), error.code) == (f"Redis at h:1 {found.found}; {found.fix}", problem.value)
    assert re.fullmatch(r"[a-z].{15,}[^.]", found.fix)
    assert describe(error) == (str(error), 3 if problem.remedy is Remedy.SETTING else 1)
    assert diagnose(error) == found


def test_the_documented_table_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \| waits \| .+ \|$", page, re.MULTILINE)
    assert [(code, found) for code, found, _ in rows] == [(problem.value, diagnosis(problem).found) for problem in RedisProblem]
    assert {code for code, _, start in rows if "exits with 3" in start} == {
        problem.value for problem in RedisProblem if problem.ends_a_start
    }


def test_an_answer_that_nobody_knows_is_not_quoted() -> None:
    assert describe(answered("ERR what about 'hunter2'")) == ("Redis gives an unexpected answer; its log may say why: ResponseError", 1)


def test_rights_are_tried_with_every_command_of_the_scripts() -> None:
    def commands(*texts: str) -> set[str]:
        return set(re.findall(r"redis\.p?call\('([A-Z]+)'", "".join(texts)))

    others = [
        script.text for name, script in inspect.getmembers(scripts, lambda member: isinstance(member, scripts.Script)) if name != "PROBE"
    ]
    assert len(others) == 9
    assert commands(*others) <= commands(scripts.PROBE.text)
