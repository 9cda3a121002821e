"""The plain pipeline on Quix Streams: a dataframe for each topic calls torch for each window and writes to Kafka and Redis.

``python -m benchmarks.pipeline_runs.quix_peer BOOTSTRAP TOPIC_PREFIX REDIS_URL DIRECTORY``
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from quixstreams import Application
from redis import Redis

from benchmarks.pipeline_runs.plain import PlainPipeline
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import encode_record
from stream.domain.topics import Topics


def make_app(bootstrap: str, prefix: str, redis_url: str, directory: str) -> Application:
    """The program: reads the chunks of all modalities and publishes their results."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=prefix,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=directory,
        loglevel="WARNING",
    )
    names, pipeline, redis = Topics(prefix), PlainPipeline(), Redis.from_url(redis_url)
    scores = app.topic(names.scores, key_serializer="bytes", value_serializer="bytes")
    explanations = app.topic(names.explanations, key_serializer="bytes", value_serializer="bytes")

    def on_chunk(modality: Modality) -> Callable[[bytes, bytes, int, Any], list[tuple[bytes, bytes]]]:
        def call(value: bytes, key: bytes, _timestamp: int, headers: Any) -> list[tuple[bytes, bytes]]:
            results = []
            for score, explanation in pipeline.on_record(modality, key, value, headers):
                score_json, explanation_json = encode_record(score), encode_record(explanation)
                pipe = redis.pipeline(transaction=False)
                pipe.xadd(f"plain:{score.session}:scores", {"record": score_json})
                pipe.xadd(f"plain:{score.session}:explanations", {"record": explanation_json})
                pipe.hset(f"plain:{score.session}:latest", mapping={"record": score_json, "explanation": explanation_json})
                pipe.execute()
                results.append((score_json, explanation_json))
            return results

        return call

    for modality in MODALITIES:
        topic = app.topic(names.chunks(modality), key_deserializer="bytes", value_deserializer="bytes")
        results = app.dataframe(topic).apply(on_chunk(modality), expand=True, metadata=True)
        results.apply(lambda pair: pair[0]).to_topic(scores)
        results.apply(lambda pair: pair[1]).to_topic(explanations)
    return app


if __name__ == "__main__":
    make_app(*sys.argv[1:]).run()
