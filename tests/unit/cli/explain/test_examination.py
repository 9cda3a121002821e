"""A stored window is looked at again, and everything that was said in it is shown without harm."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest
from rich.console import Console

from stream.cli.explain.examination import Examination, Request, examine
from stream.cli.explain.methods import METHODS, Setting, blocking
from stream.cli.explain.page import html_page
from stream.cli.explain.served import Served
from stream.cli.explain.table import as_json, print_tables
from stream.domain.disclosure import Disclosure
from stream.domain.media_format import FACE_CELLS, MEL_BINS, MEL_FRAMES
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.serving.models import Models
from stream.sinks.stored_window import StoredWindow
from tests.fakes.explained_models import ExplainedModels
from tests.fakes.stored_windows import make_stored
from tests.fakes.windows import MODEL
from tests.support.page_tags import Tags

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img/src=x/onerror=alert(1)>',
    "&lt;b&gt;",
    "\u202eevil\u2066",
    "\x1b[31mred",
    "[bold]rich[/bold]",
    "</style></bdi></td>",
)


def examined(
    stored: StoredWindow,
    names: Sequence[str] = ("ours", "occlusion"),
    *,
    model: ModelVersion = MODEL,
    disclosure: Disclosure = Disclosure.FULL,
) -> Examination:
    async def run() -> Examination:
        served = Served(cast(Models, ExplainedModels()), "1")
        answers, _ = blocking(served, asyncio.get_running_loop())
        setting = Setting(answers, Path("nowhere"), [stored.inputs])
        return await examine(stored, served, Request(model, names, setting, disclosure, lambda _: None))

    return asyncio.run(run())


def with_cells(stored: StoredWindow) -> StoredWindow:
    cells = np.random.default_rng(0).normal(size=(2, *FACE_CELLS)).astype(np.float16)
    return replace(stored, inputs=replace(stored.inputs, video_cells=cells))


def printed(found: Examination) -> str:
    stream = StringIO()
    print_tables(found, Console(file=stream, width=200))
    return stream.getvalue()


def test_every_part_of_a_window_is_examined() -> None:
    found = examined(with_cells(make_stored()))
    assert (found.now.score, found.now.label, found.same_model) == (1.5, "positive", True)
    assert found.contributions.modalities == pytest.approx({Modality.TEXT: 1.5, Modality.AUDIO: 0.0, Modality.VIDEO: 0.0})
    assert found.without["text"].score == 0.0
    assert [method.name for method in found.methods] == ["ours", "occlusion"]
    occlusion = found.method("occlusion")
    assert occlusion is not None
    assert [row.value(occlusion) for row in found.rows if row.modality is Modality.TEXT] == pytest.approx([0.5] * 3)
    assert [maps.ours.sum() for maps in found.faces] == pytest.approx([0.25] * 2, abs=1e-5)
    (verdict,) = found.phrases.values()
    assert (verdict.score, verdict.label) == (0.0, "neutral"), "the phrase is all three words"
    assert found.change is not None
    assert found.change[1].label == "neutral"


def test_words_that_their_producer_encoded_are_not_left_out() -> None:
    found = examined(replace(make_stored(), words_encoded=False))
    assert (found.phrases, found.change) == ({}, None)
    assert "none of them can be left out" in html_page(found)


def test_the_lowest_band_moves_a_voice_that_is_made_of_it() -> None:
    sound = np.zeros((1, MEL_BINS, MEL_FRAMES), np.float16)
    sound[:, :10, :50] = 1.0
    found = examined(replace(make_stored(), log_mel=sound, log_mel_ms=(4000,)))
    assert len(found.bands) == 8
    assert found.bands[0].low_hz == 0.0
    assert abs(found.bands[0].effect) > 0.5
    assert examined(make_stored()).bands == ()


def test_a_method_that_cannot_run_says_why_and_stops_no_other() -> None:
    found = examined(make_stored(), ("closed-form", "ours"))
    assert found.method("closed-form") is None
    assert found.method("ours") is not None
    assert "nowhere" in found.methods[0].problem
    assert "closed-form: the weights nowhere" in html_page(found)
    assert "closed-form: the weights nowhere" in printed(found)


def test_another_version_than_the_one_that_scored_the_window_is_named() -> None:
    found = examined(make_stored(), model=ModelVersion("mmci", "2", "ffffffffffff"))
    assert not found.same_model
    for text in (html_page(found), printed(found)):
        assert "published as positive" in text
        assert "0123456789ab" in text
        assert "ffffffffffff" in text
    assert "ffffffffffff" not in html_page(examined(make_stored()))


@pytest.mark.parametrize("disclosure", [Disclosure.FULL, Disclosure.REDACTED])
def test_nothing_that_was_said_becomes_a_part_of_the_page(disclosure: Disclosure) -> None:
    harmless = Tags(html_page(examined(with_cells(make_stored(words=["word"] * len(HOSTILE))), disclosure=disclosure)))
    page = html_page(examined(with_cells(make_stored(words=HOSTILE)), disclosure=disclosure))
    hostile = Tags(page)
    assert set(hostile.tags) == set(harmless.tags)
    assert hostile.attributes == harmless.attributes
    assert "script" not in hostile.tags
    assert "img" not in hostile.tags
    assert not [name for name in hostile.attributes if name.startswith("on") or name in {"src", "href"}]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", page)
    assert "default-src 'none'" in page


def test_nothing_that_was_said_reaches_the_terminal_as_a_command() -> None:
    text = printed(examined(make_stored(words=HOSTILE)))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_may_not_be_shown_is_not_shown() -> None:
    stored = make_stored(words=["this", "is", "Alice", "4111", "1111", "1111", "1111"])
    shown = {disclosure: html_page(examined(stored, disclosure=disclosure)) for disclosure in Disclosure}
    assert "Alice" in shown[Disclosure.FULL]
    for disclosure in (Disclosure.REDACTED, Disclosure.NONE):
        assert "Alice" not in shown[disclosure]
        assert "4111" not in shown[disclosure]
    assert "[name]" in shown[Disclosure.REDACTED]
    assert "[name]" not in shown[Disclosure.NONE]


def test_the_page_fetches_nothing_and_every_picture_has_words() -> None:
    page = html_page(examined(with_cells(make_stored())))
    assert not re.search(r"https?://|url\(|@import", page)
    drawings = re.findall(r"<svg [^>]*>", page)
    assert len(drawings) > 8
    assert all('role="img"' in drawing and re.search('aria-label="[^"]+"', drawing) for drawing in drawings)
    assert '<html lang="en">' in page
    assert "prefers-color-scheme: dark" in page


def test_the_json_object_has_what_the_page_has() -> None:
    found = json.loads(msgspec.json.encode(as_json(examined(with_cells(make_stored())))))
    assert found["window_id"] == "default/call-1/customer/0-5000"
    assert [row["text"] for row in found["rows"] if row["modality"] == "text"] == ["this", "is", "great"]
    assert found["rows"][0]["relevance"] == {"ours": 0.5, "occlusion": 0.5}
    assert len(found["faces"][0]["ours"]) == 36
    assert found["label_change"]["label"] == "neutral"


def test_every_method_has_a_name_that_can_be_typed() -> None:
    assert all(re.fullmatch(r"[a-z][a-z+-]*", name) for name in METHODS)
    assert "all" not in METHODS
