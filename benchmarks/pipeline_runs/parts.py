"""The parts that CPU time is counted for: pure."""

from __future__ import annotations

from collections.abc import Sequence

DECODER = "stream.media.decoder_child"
STUBS = {"audio": "audio_encoder", "face": "face_encoder", "text": "text_encoder", "mmci": "mmci"}
"""Triton runs each instance of a model in a process of its own, a stub: the part for each model."""

OTHERS = ("broker", "load")
"""Parts that belong to no system."""

PARTS = ("worker", "decoder", "triton", *STUBS, "redis")
"""The parts of sentistream. The worker is without its decoder processes, and Triton is its server without the stubs."""


def part_of_child(parent: str, command: Sequence[str]) -> str:
    """The part that a child process belongs to; that of its parent, if it has none of its own.

    Args:
        parent: Part of the parent.
        command: Command line of the child.
    """
    if parent == "worker" and DECODER in command:
        return "decoder"
    if parent == "triton":
        # A stub is told the name of its instance: the model's, and numbers.
        named = (part for part, model in STUBS.items() if any(argument.startswith(f"{model}_") for argument in command))
        return next(named, parent)
    return parent
