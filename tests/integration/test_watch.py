"""`sentistream watch` as a user runs it, on a real Redis."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from stream.domain.identity import SessionKey
from stream.explain.session_summary import summarise
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_explanation, make_score


def start(server: RedisServer, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stream.cli", "watch", "--redis", server.url, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def write(sink: RedisSink, session: SessionKey = SESSION) -> None:
    score = make_score(4000, -1.5, session=session)
    await sink.finalise(score, make_explanation(score, "The words did it."), 1)
    await sink.put_summary(summarise(session, 0, [score]))


async def test_json_lines_of_one_session_until_ctrl_c(server: RedisServer, sink: RedisSink) -> None:
    await write(sink)
    await write(sink, SessionKey("default", "other"))
    watching = start(server, SESSION.session, "--json", "--from-start")
    assert watching.stdout is not None
    lines = [json.loads(watching.stdout.readline()) for _ in range(3)]
    assert [line["event"] for line in lines] == ["score", "explanation", "session"]
    assert {line["session"] for line in lines} == {SESSION.session}
    watching.send_signal(signal.SIGINT)
    out, errors = watching.communicate(timeout=10)
    assert (watching.returncode, out, errors) == (130, "", "")


async def test_lines_of_text_if_the_output_is_not_a_terminal(server: RedisServer, sink: RedisSink) -> None:
    await write(sink)
    watching = start(server, "--from-start")
    assert watching.stdout is not None
    shown = [watching.stdout.readline() for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=10)
    assert "-1.50" in shown[0]
    assert "The words did it." in shown[1]
    assert "ended: 1 window" in shown[2]


async def test_it_ends_quietly_when_its_output_is_closed(server: RedisServer, sink: RedisSink) -> None:
    await write(sink)
    watching = start(server, "--json", "--from-start")
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.stdout.close()
    for number in range(3):
        await write(sink, SessionKey("default", f"later-{number}"))
    assert watching.wait(15) == 0
    assert watching.stderr is not None
    assert watching.stderr.read() == ""


def test_a_redis_that_does_not_answer_is_one_sentence() -> None:
    command = [sys.executable, "-m", "stream.cli", "watch", "--redis", "redis://127.0.0.1:1/0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Redis does not answer at 127.0.0.1:1" in done.stderr
