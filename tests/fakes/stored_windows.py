"""Windows as the local store keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from stream.domain.identity import SessionKey
from stream.domain.inference import COALITIONS, WindowInputs
from stream.explain.records import final_records
from stream.sinks.stored_window import StoredWindow
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
