"""Windows as the local store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from stream.config.project import PROJECT_ROOT
from stream.domain.identity import SessionKey
from stream.domain.inference import COALITIONS, WindowInputs
from stream.explain.records import final_records
from stream.reveal.models import RepositoryModels
from stream.reveal.windows import encode
from stream.reveal.words import text_alone
from stream.sinks.stored_window import StoredWindow
from stream.sinks.window_store import WindowStore
from tests.fakes.windows import MODEL, make_inference, make_inputs, make_window


def make_stored(
    end_ms: int = 5000,
    words: Sequence[str] = ("this", "is", "great"),
    *,
    session: str = "call-1",
    segments: int = 3,
    frames: int = 2,
    inputs: WindowInputs | None = None,
) -> StoredWindow:
    """A stored window of one second."""
    window = make_window(words, segments, frames)
    inputs = inputs or make_inputs(window)
    score, explanation = final_records(window, inputs, make_inference(np.linspace(0.0, 1.5, COALITIONS).tolist()), MODEL, 500)
    names = {"session": session, "end_ms": end_ms, "window_id": f"{SessionKey('default', session)}/customer/0-{end_ms}"}
    return StoredWindow(replace(score, **names), replace(explanation, **names), inputs, window.words(), ("and",))


def fill_store(file: Path, texts: Sequence[tuple[str, ...]]) -> None:
    """A store of windows of words alone, each with its states."""
    store = WindowStore(file, retention_hours=1.0, max_mb=50)
    for number, inputs in enumerate(encode([text_alone(words) for words in texts], RepositoryModels(PROJECT_ROOT / "triton_models"))):
        store.put(make_stored(1_000 * number, texts[number], segments=0, frames=0, inputs=inputs))
    store.close()
