"""A window that a real worker has kept is explained in depth by the served models, and its session is erased."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream.config.settings import Settings
from stream.explain.redaction.words import PLACEHOLDERS, plain
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import produce_session
from stream.produce.sample import FACES
from stream.sinks.window_store import WindowStore
from tests.integration.test_worker import run_until_ended

WORDS = ("<script>alert(1)</script>", "Jonathan", "loves", "this", "wonderful", "4111", "1111", "1111", "1111", "</style><img/src=x>")


def transcript(file: Path) -> Path:
    """A word each 400 ms, over and over."""
    words = [{"text": WORDS[i % len(WORDS)], "start": 0.4 * i, "end": 0.4 * i + 0.3} for i in range(50)]
    file.write_text(json.dumps({"words": words}))
    return file


async def explain(settings: Settings, *arguments: str) -> str:
    """Run the command as a user does; return its standard output."""
    command = [sys.executable, "-m", "stream.cli", "explain", *arguments]
    ran = await asyncio.to_thread(subprocess.run, command, env=child_environment(settings), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("kafka_bootstrap", ["tansu"], indirect=True)
async def test_a_window_is_kept_explained_and_erased(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    kept = settings.explanations.model_copy(update={"store": path, "store_sound": True})
    own = settings.model_copy(update={"explanations": kept})
    ensure_topics(own.kafka)
    prepared = await asyncio.to_thread(prepare, MediaRequest(FACES, transcript(tmp_path / "words.json"), session=f"kept-{own.kafka.group}"))
    await asyncio.to_thread(produce_session, own.kafka, prepared, speed=None)
    session = prepared.plan.key
    log = await run_until_ended(own, tmp_path, session)
    assert "windows_not_kept" not in log
    listed = [json.loads(line) for line in (await explain(own, "--list", "--session", session.session, "--json")).splitlines()]
    assert len(listed) >= 10
    window = listed[len(listed) // 2]

    page = tmp_path / "page.html"
    methods = ("--method", "ours", "--method", "occlusion")
    found = json.loads(await explain(own, window["window_id"], *methods, "--json", "--html", str(page)))
    assert found["same_model"]
    assert found["score"] == pytest.approx(window["score"], abs=1e-3)
    assert found["base_score"] + sum(found["contributions"].values()) + found["earlier_windows"] == pytest.approx(found["score"], abs=1e-3)
    of_modality = {row["modality"]: 0.0 for row in found["rows"]}
    for row in found["rows"]:
        of_modality[row["modality"]] += row["relevance"]["ours"]
    assert of_modality == pytest.approx({m: found["contributions"][m] for m in of_modality}, abs=0.01)
    assert found["faces"]
    for face in found["faces"]:
        assert sum(face["ours"]) == pytest.approx(face["relevance"], abs=1e-3)
        assert max(face["ours"]) > min(face["ours"])
    assert found["phrases"]
    assert len(found["voice_bands"]) == 8

    html = page.read_text(encoding="utf-8")
    assert not re.search(r"<script|<img|Jonathan|4111", html)
    with_store = WindowStore(path, retention_hours=72.0, max_mb=100)
    stored = with_store.get(window["window_id"])
    with_store.close()
    assert stored is not None
    assert any("<script>" in word.text for word in stored.words), "the words reached the store as they were sent"
    may_be_shown = {plain(word.text) for word in stored.words} | PLACEHOLDERS
    assert {row["text"] for row in found["rows"] if row["modality"] == "text"} <= may_be_shown

    forgotten = json.loads(await explain(own, "--forget", session.session, "--json"))
    assert (forgotten["deleted"], forgotten["left"], forgotten["overwritten"]) == (len(listed), 0, True)
    assert b"wonderful" not in b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))
