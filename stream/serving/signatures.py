"""The tensors of each model as this release uses them, and how a served model may differ from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS
from stream.domain.inference import COALITIONS, LABELS, NODE_TENSORS
from stream.domain.media_format import FACE_CELLS, FACE_SIZE, FACE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model_repository.model_config import TensorSpec
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MAX_ROWS, MMCI, TEXT_ENCODER


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a model, without the batch axis; -1 stands for any length.

    Attributes:
        inputs: The tensors that it takes.
        outputs: The tensors that it returns.
        max_rows: Most rows of one request.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_rows: int = MAX_ROWS

    def differences(self, served: Signature) -> Iterator[str]:
        """Yield how a served model differs, as clauses: ``input words is FP32[-1, 300], not FP32[-1, 384]``."""
        yield from _differences("input", self.inputs, served.inputs)
        for name in sorted({tensor.name for tensor in served.inputs} - {tensor.name for tensor in self.inputs}):
            yield f"it wants an input {name}, which this release does not have"
        yield from _differences("output", self.outputs, served.outputs)
        if served.max_rows < self.max_rows:
            yield f"it takes {served.max_rows} rows at a time, not {self.max_rows}"


def _differences(kind: str, wanted: tuple[TensorSpec, ...], served: tuple[TensorSpec, ...]) -> Iterator[str]:
    by_name = {tensor.name: tensor for tensor in served}
    for tensor in wanted:
        found = by_name.get(tensor.name)
        if found is None:
            yield f"it has no {kind} {tensor.name}"
        elif found.datatype != tensor.datatype or not _fits(tensor.dims, found.dims):
            yield f"{kind} {tensor.name} is {found.datatype}{list(found.dims)}, not {tensor.datatype}{list(tensor.dims)}"


def _fits(wanted: tuple[int, ...], served: tuple[int, ...]) -> bool:
    """Whether tensors of the wanted dimensions fit: a free axis of the served model takes any length, a fixed axis only its own."""
    return len(wanted) == len(served) and all(b in {-1, a} for a, b in zip(wanted, served, strict=True))


def _floats(name: str, *dims: int) -> TensorSpec:
    return TensorSpec(name, "FP32", dims)


def _nodes(modality: Modality) -> tuple[TensorSpec, ...]:
    names = NODE_TENSORS[modality]
    return _floats(names.values, -1, WIDTHS[modality]), _floats(names.times, -1, 2), _floats(names.mask, -1)


_K = CONTEXT_WINDOWS

SIGNATURES: Mapping[str, Signature] = {
    TEXT_ENCODER: Signature(
        tuple(TensorSpec(name, "INT64", (-1,)) for name in ("input_ids", "attention_mask", "token_type_ids")),
        (_floats("last_hidden_state", -1, WORD_WIDTH),),
    ),
    AUDIO_ENCODER: Signature((_floats("log_mel", MEL_BINS, MEL_FRAMES),), (_floats("embedding", SEGMENTS_PER_BLOCK, VOICE_WIDTH),)),
    FACE_ENCODER: Signature(
        (_floats("face", 1, FACE_SIZE, FACE_SIZE),), (_floats("embedding", FACE_WIDTH), TensorSpec("cells", "FP16", FACE_CELLS))
    ),
    MMCI: Signature(
        (
            *(spec for modality in MODALITIES for spec in _nodes(modality)),
            *(_floats(names.past, _K, WIDTHS[modality]) for modality, names in NODE_TENSORS.items()),
            *(_floats("past_mask", _K, len(MODALITIES)), _floats("past_same", _K)),
        ),
        (
            *(_floats("coalition_scores", COALITIONS), _floats("coalition_probabilities", COALITIONS, len(LABELS))),
            *(_floats("causal", -1), _floats("relevance", -1)),
            *(_floats("score_unadjusted", 1), _floats("to_review", 1), _floats("arousal", 1), _floats("face_slope", -1, FACE_WIDTH)),
            _floats("word_effects", -1),
        ),
    ),
}
