"""Scores a feed of posts, each a text that may have a picture: sentiment by topic over time, and who moves whom in replies.

python social_feed.py --posts posts.jsonl --bootstrap 127.0.0.1:9092

A post is a short session of its own: a start, a text chunk, an image chunk if there is a picture, and an end. Needs only kafka-python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

TENANT, TRACK, ROLE, SOURCE = "social", "post", "poster", "examples/social_feed"
CHUNK_MS = 1000
MOST_WORDS = 256
Post = dict[str, Any]


class Influence(NamedTuple):
    """How an author's replies to another one move towards the post that they answer, in score points, and the number of replies."""

    pull: float
    replies: int


def main() -> None:
    """Send the posts, wait for their scores, and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--posts", type=Path, default=Path(__file__).with_name("posts.jsonl"), help="a post in JSON on each line")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="HOST:PORT of Kafka")
    parser.add_argument("--topic-prefix", default="", help="kafka.topic_prefix of the workers")
    parser.add_argument("--timeout", type=float, default=60, help="longest time (s) to wait for scores")
    arguments = parser.parse_args()
    posts: list[Post] = [json.loads(text) for text in arguments.posts.read_text(encoding="utf-8").splitlines() if text.strip()]
    run = uuid.uuid4().hex[:8]
    sessions = {f"{run}-{post['id']}": post for post in posts}

    consumer = KafkaConsumer(arguments.topic_prefix + "scores", bootstrap_servers=arguments.bootstrap, isolation_level="read_committed")
    consumer.poll(timeout_ms=2000)  # from now on
    with KafkaProducer(bootstrap_servers=arguments.bootstrap, acks="all") as producer:
        for session, post in sessions.items():
            send(producer, arguments.topic_prefix, session, post, arguments.posts.parent)
    scores = wait_for_scores(consumer, sessions, arguments.timeout)
    consumer.close()
    print_report(posts, scores)
    if len(scores) < len(posts):
        sys.exit(f"{len(posts) - len(scores)} posts have no score: is a worker running?")


def send(producer: Any, prefix: str, session: str, post: Post, folder: Path) -> None:
    """Write one post as a session."""
    # The time of capture is that of the sending, not of the post: media time and wall clock must go together.
    now = time.time()
    modalities = ["text", "video"] if post.get("image") else ["text"]
    words = post["text"].split()[:MOST_WORDS]
    step = CHUNK_MS / max(len(words), 1)
    timed = [{"text": word[:128], "start_ms": place * step, "end_ms": (place + 1) * step} for place, word in enumerate(words)]
    plan = [{"track": TRACK, "role": ROLE, "modalities": modalities}]
    counts = [{"track": TRACK, "chunks": dict.fromkeys(modalities, 1)}]
    records = [
        ("sessions", "session.start", "application/json", encoded({"event": "start", "epoch": 0, "tracks": plan})),
        ("chunks.text", "chunk.text", "application/vnd.sentistream.words+json", encoded({"words": timed, "final": True})),
    ]
    if post.get("image"):
        records.append(("chunks.video", "chunk.video", "image/jpeg", (folder / post["image"]).read_bytes()))
    end = {"event": "end", "epoch": 0, "media_ms": CHUNK_MS, "tracks": counts}
    records.append(("sessions", "session.end", "application/json", encoded(end)))
    for topic, kind, content_type, value in records:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": uuid.uuid4().hex,
            "ce_source": SOURCE,
            "ce_type": f"io.sentistream.{kind}",
            "ce_subject": session,
            "ce_time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "content-type": content_type,
            "ce_tenant": TENANT,
            "ce_schemaversion": "1.0",
        }
        if kind.startswith("chunk"):
            place = {"ce_sequence": "0", "ce_epoch": "0", "ce_mediastart": "0", "ce_mediaduration": str(CHUNK_MS)}
            headers |= {"ce_track": TRACK, "ce_role": ROLE, **place}
        wire = [(name, text.encode()) for name, text in headers.items()]
        # The key decides the partition: all records of a post meet in one worker.
        producer.send(prefix + topic, value, f"{TENANT}/{session}".encode(), headers=wire)


def wait_for_scores(consumer: Any, sessions: Mapping[str, Post], timeout_s: float) -> dict[str, float]:
    """The score of each post, by its id. A post has one window; of several, the first counts."""
    scores: dict[str, float] = {}
    deadline = time.monotonic() + timeout_s
    while len(scores) < len(sessions) and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            for value in (json.loads(record.value) for record in records):
                post = sessions.get(value["session"])
                if post is not None and value["score"] is not None:
                    scores.setdefault(post["id"], value["score"])
    return scores


def by_topic_and_hour(posts: Sequence[Post], scores: Mapping[str, float]) -> dict[tuple[str, str], list[float]]:
    """The scores of the posts of each topic in each hour."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for post in posts:
        if post["id"] in scores:
            found[post["topic"], post["at"][:13]].append(scores[post["id"]])
    return dict(found)


def influences(posts: Sequence[Post], scores: Mapping[str, float]) -> dict[tuple[str, str], Influence]:
    """By (who was answered, who answers): how far replies move from what their author usually writes towards the post that they answer.

    It tells nothing about people who read and do not answer, and not whether both only react to the same event.
    """
    by_id = {post["id"]: post for post in posts}
    moves: dict[tuple[str, str], list[float]] = defaultdict(list)
    for post in posts:
        parent = by_id.get(post.get("reply_to") or "")
        others = [scores[p["id"]] for p in posts if p["author"] == post["author"] and p is not post and p["id"] in scores]
        if parent is None or parent["author"] == post["author"] or not others or not {post["id"], parent["id"]} <= scores.keys():
            continue
        usual = fmean(others)
        direction = 1 if scores[parent["id"]] >= usual else -1
        moves[parent["author"], post["author"]].append(direction * (scores[post["id"]] - usual))
    return {pair: Influence(fmean(found), len(found)) for pair, found in moves.items()}


def print_report(posts: Sequence[Post], scores: Mapping[str, float]) -> None:
    """Print both tables."""
    print("topic, hour: mean score (posts)")
    for (topic, hour), found in sorted(by_topic_and_hour(posts, scores).items()):
        print(f"  {topic}, {hour}: {fmean(found):+.1f} ({len(found)})")
    print("who moves whom: score points towards the answered post (replies)")
    for (answered, answering), (pull, replies) in sorted(influences(posts, scores).items(), key=lambda item: -item[1].pull):
        print(f"  {answered} -> {answering}: {pull:+.1f} ({replies})")


def encoded(value: object) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(value).encode()


if __name__ == "__main__":
    try:
        main()
    except KafkaError as error:
        sys.exit(f"Kafka: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
