"""Sending records to Kafka, through outages."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, NotLeaderForPartitionError, TopicAuthorizationFailedError
from faust.exceptions import ProducerSendError

from stream.agents import result_producer
from stream.agents.result_producer import ResultProducer
from stream.aio.backoff import Backoff
from stream.pipeline.ports import Addressed

SCORE: Addressed = ("scores", b"key", b"score", [("h", b"1")])
EXPLANATION: Addressed = ("explanations", b"key", b"explanation", [])


class FakeProducer:
    """Accepts records. The first sends fail with the given errors, which are raised or set on the future as Faust does."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.sent: list[tuple[str, bytes]] = []

    async def send(self, topic: str, _key: bytes, value: bytes, _partition: None, _time: None, _headers: Any) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self.errors.pop(0) if self.errors else None
        if isinstance(error, ProducerSendError):
            raise error
        if error is None:
            self.sent.append((topic, value))
            answer.set_result(None)
        else:
            answer.set_exception(error)
        return answer


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_producer, "BACKOFF", Backoff(first_s=0.0))


def result_producer_of(producer: FakeProducer) -> ResultProducer:
    return ResultProducer(SimpleNamespace(producer=producer))  # type: ignore[arg-type]


async def test_records_are_sent_side_by_side_in_order() -> None:
    producer = FakeProducer()
    await result_producer_of(producer).send(SCORE, EXPLANATION)
    assert producer.sent == [("scores", b"score"), ("explanations", b"explanation")]


@pytest.mark.parametrize("error", [ProducerSendError("no metadata"), NotLeaderForPartitionError(), TimeoutError()])
async def test_an_outage_is_waited_out_and_all_are_sent_again(error: Exception) -> None:
    producer = FakeProducer(error)
    await result_producer_of(producer).send(SCORE, EXPLANATION)
    assert producer.sent[-2:] == [("scores", b"score"), ("explanations", b"explanation")]


async def refused_after(error: Exception) -> dict[str, str]:
    """The refused topics after the first attempt to send a score and an explanation has failed; none are left after the second one."""
    seen: list[dict[str, str]] = []
    refused: dict[str, str] = {}

    class Watching(FakeProducer):
        async def send(self, *args: Any) -> asyncio.Future[None]:
            seen.append(dict(refused))
            return await super().send(*args)

    await ResultProducer(SimpleNamespace(producer=Watching(error)), refused).send(SCORE, EXPLANATION)  # type: ignore[arg-type]
    assert (seen[0], refused) == ({}, {})
    return seen[-1]


async def test_topics_that_are_refused_are_known_until_they_are_not() -> None:
    assert await refused_after(MessageSizeTooLargeError()) == dict.fromkeys(("scores", "explanations"), "MessageSizeTooLargeError")


async def test_only_the_topic_that_may_not_be_written_is_named_with_the_reason_that_faust_wraps() -> None:
    error = ProducerSendError("Error while sending")
    error.__cause__ = TopicAuthorizationFailedError("explanations")
    assert await refused_after(error) == {"explanations": "TopicAuthorizationFailedError"}
