"""The plain pipeline on Faust: an agent for each topic calls torch for each window and writes to Kafka and Redis.

``python -m benchmarks.pipeline_runs.faust_peer BOOTSTRAP TOPIC_PREFIX REDIS_URL DIRECTORY``
"""

from __future__ import annotations

import sys
from typing import Any

import faust
from redis.asyncio import Redis

from benchmarks.pipeline_runs.plain import PlainPipeline
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import encode_record
from stream.domain.topics import Topics


def make_app(bootstrap: str, prefix: str, redis_url: str, directory: str) -> faust.App:
    """The program: reads the chunks of all modalities and publishes their results."""
    app = faust.App(
        prefix,
        broker=f"kafka://{bootstrap}",
        datadir=directory,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
    )
    names, pipeline, redis = Topics(prefix), PlainPipeline(), Redis.from_url(redis_url)
    scores = app.topic(names.scores, key_type=bytes, value_type=bytes, value_serializer="raw")
    explanations = app.topic(names.explanations, key_type=bytes, value_type=bytes, value_serializer="raw")

    def add_agent(modality: Modality) -> None:
        topic = app.topic(names.chunks(modality), key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        async def on_chunks(stream: Any) -> None:
            async for event in stream.events():
                message = event.message
                for score, explanation in pipeline.on_record(modality, message.key, message.value, message.headers):
                    score_json, explanation_json = encode_record(score), encode_record(explanation)
                    await scores.send(key=message.key, value=score_json)
                    await explanations.send(key=message.key, value=explanation_json)
                    async with redis.pipeline(transaction=False) as pipe:
                        pipe.xadd(f"plain:{score.session}:scores", {"record": score_json})
                        pipe.xadd(f"plain:{score.session}:explanations", {"record": explanation_json})
                        pipe.hset(f"plain:{score.session}:latest", mapping={"record": score_json, "explanation": explanation_json})
                        await pipe.execute()

        app.agent(topic, name=f"plain-{modality}")(on_chunks)

    for modality in MODALITIES:
        add_agent(modality)
    return app


if __name__ == "__main__":
    faust.Worker(make_app(*sys.argv[1:]), loglevel="warning").execute_from_commandline()
