"""The served model: a window and its context in; scores of all coalitions and the material of explanations out.

`stream.training.export` exports it to ONNX.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS
from stream.domain.inference import EVERYTHING, MODALITY_SETS, SCORE_LIMIT
from stream.domain.media_format import FACE_WIDTH, VOICE_POLARITIES, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI, MMCIConfig, Skip, Stream
from stream.model.nodes import Nodes, Past, Window

FULL = MODALITY_SETS - 1
"""Index of the set of all modalities."""

MIXED = tuple(index for index in range(MODALITY_SETS) if index.bit_count() > 1)
"""Sets of several modalities, which exchange messages.

The read-out of a single modality is a part of that of all modalities, so it need not be computed again.
"""

INTER = 1
"""Index of the inter-modal part among the parts of a modality's read-out."""

SERVED = MMCIConfig(
    widths=(WORD_WIDTH, VOICE_POLARITIES, FACE_WIDTH),
    evidence=(Modality.AUDIO,),
    past=CONTEXT_WINDOWS,
)
"""The served network. Of a segment of voice it reads the evidence for the polarities; the last number is for the arousal alone."""

WEIGHTS = "weights.safetensors"
"""File beside the ONNX file that holds the same weights for torch."""

TRAINING_ONLY = ("model.head_causal.", "model.head_shortcut.")
"""Prefixes of weights that only the loss uses."""

INPUT_NAMES: tuple[str, ...] = (
    *("words", "word_times", "word_mask"),
    *("audio", "audio_times", "audio_mask"),
    *("video", "video_times", "video_mask"),
    *("past_words", "past_audio", "past_video", "past_mask", "past_same"),
)
OUTPUT_NAMES: tuple[str, ...] = (
    *("coalition_scores", "coalition_probabilities", "causal", "relevance"),
    *("score_unadjusted", "to_review", "arousal"),
)


def coalition_gates() -> Tensor:
    """(1, 8, 3) gates: row s has a 1 for every modality whose bit is set in s."""
    rows = [[float(bool(index & modality.bit)) for modality in MODALITIES] for index in range(MODALITY_SETS)]
    return torch.tensor([rows])


def kept_readout(config: MMCIConfig) -> Tensor:
    """(8, G) mask that cuts the read-out of each set of modalities out of that of a mixed one.

    It keeps the parts of the set's modalities; their inter-modal parts only where the set itself is mixed.
    """
    rows = [
        [float(bool(index & modality.bit) and (part != INTER or index in MIXED)) for modality in MODALITIES for part in range(config.parts)]
        for index in range(MODALITY_SETS)
    ]
    return torch.tensor(rows).repeat_interleave(config.hidden, dim=1)


class ServedMMCI(nn.Module):
    """The model ``mmci`` of the repository: a trained `MMCI` with its calibration.

    Attributes:
        gates: (1, 8, 3) the sets of modalities.
        mixed_row: (8,) index into `MIXED` of the read-out that contains the set's.
        kept: (8, G) mask of `kept_readout`.
        bits: (3,) bits of the modalities.
        temperatures: (8,) divisors of the logits, fitted on validation windows. Indexed by the modalities that are present: the
            coalition of text and voice is the coalition of text in a window without voice.
        review_below: (8,) thresholds, indexed in the same way: a window whose label has a lower probability is set aside for
            review by a person.
        score_caps: (8,) what no score exceeds, indexed in the same way; `SCORE_LIMIT` for no cap.
        arousal_slope: () slope of the arousal's logit, fitted on validation windows.
        arousal_offset: () its offset.
    """

    gates: Tensor
    bits: Tensor
    temperatures: Tensor
    review_below: Tensor
    score_caps: Tensor
    arousal_slope: Tensor
    arousal_offset: Tensor
    mixed_row: Tensor
    kept: Tensor

    def __init__(self, model: MMCI) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("gates", coalition_gates())
        self.register_buffer("bits", torch.tensor([float(modality.bit) for modality in MODALITIES]))
        self.register_buffer("temperatures", torch.ones(MODALITY_SETS))
        self.register_buffer("review_below", torch.zeros(MODALITY_SETS))
        self.register_buffer("score_caps", torch.full((MODALITY_SETS,), SCORE_LIMIT))
        self.register_buffer("arousal_slope", torch.tensor(1.0))
        self.register_buffer("arousal_offset", torch.tensor(0.0))
        rows = [MIXED.index(index if index in MIXED else FULL) for index in range(MODALITY_SETS)]
        self.register_buffer("mixed_row", torch.tensor(rows), persistent=False)
        self.register_buffer("kept", kept_readout(model.config), persistent=False)

    def forward(  # noqa: PLR0917 - the inputs of an ONNX graph are positional
        self,
        words: Tensor,
        word_times: Tensor,
        word_mask: Tensor,
        audio: Tensor,
        audio_times: Tensor,
        audio_mask: Tensor,
        video: Tensor,
        video_times: Tensor,
        video_mask: Tensor,
        past_words: Tensor,
        past_audio: Tensor,
        past_video: Tensor,
        past_mask: Tensor,
        past_same: Tensor,
    ) -> tuple[Tensor, ...]:
        """Score a batch of windows.

        Args:
            words: (B, W, 384) word states.
            word_times: (B, W, 2) start and end in seconds from the window's start.
            word_mask: (B, W), 0 where there is no word.
            audio: (B, A, `VOICE_WIDTH`) segment embeddings.
            audio_times: (B, A, 2).
            audio_mask: (B, A).
            video: (B, V, `FACE_WIDTH`) face embeddings.
            video_times: (B, V, 2).
            video_mask: (B, V).
            past_words: (B, K, 384) mean word states of the `CONTEXT_WINDOWS` newest earlier windows of the session, newest first.
            past_audio: (B, K, `VOICE_WIDTH`) mean segment embeddings of the same windows.
            past_video: (B, K, `FACE_WIDTH`) mean face embeddings of the same windows.
            past_mask: (B, K, 3), 0 where there is no past window or it lacks the modality.
            past_same: (B, K), 1 where the past window is of the same track.

        Returns:
            In the order of `OUTPUT_NAMES`: scores (B, 16) and probabilities (B, 16, 3) of the coalitions, causal node attention
            (B, W + A + V), relevance (B, W + A + V), the unadjusted score (B, 1), 1 for a window to review (B, 1), and the
            arousal of the voice (B, 1).
        """
        nodes = (Nodes(words, word_times, word_mask), Nodes(audio, audio_times, audio_mask), Nodes(video, video_times, video_mask))
        window: Window = dict(zip(MODALITIES, nodes, strict=True))
        past = served_past((past_words, past_audio, past_video), past_mask, past_same)
        mixed = self.gates[:, list(MIXED)]
        streams = self.model(window, mixed, past, shortcut_gates=self.gates[:, FULL:])
        alone = self.model(window, mixed, without_windows(past), shortcut_gates=self.gates[:, FULL:])
        readout = torch.cat([stream.causal.readout[:, self.mixed_row] * self.kept for stream in (alone, streams)], dim=1)
        bank, head = self.model.bank, self.model.head
        present = torch.stack([part.mask.amax(dim=1) for part in nodes], dim=1)
        effective = (self.gates * present.unsqueeze(1) * self.bits).sum(dim=-1).long().repeat(1, 2)
        adjusted = bank.adjust(head, readout, self.temperatures[effective])
        caps = self.score_caps[effective]
        gradient = bank.score_gradient(head, readout[:, EVERYTHING]) * cap_slope(adjusted.score, caps)[:, EVERYTHING:]
        confidence = adjusted.probabilities[:, EVERYTHING].amax(dim=-1)
        unadjusted = head(readout[:, EVERYTHING] + streams.shortcut.readout[:, 0])
        return (
            capped(adjusted.score, caps),
            adjusted.probabilities,
            torch.cat([streams.attention[m] for m in MODALITIES], dim=1),
            node_relevance(self.model, window, streams.causal, gradient),
            capped(unadjusted.score.unsqueeze(-1), caps[:, EVERYTHING:]),
            (confidence < self.review_below[effective[:, EVERYTHING]]).float().unsqueeze(-1),
            self._arousal(window[Modality.AUDIO]),
        )

    def _arousal(self, voice: Nodes) -> Tensor:
        """(B, 1) sigmoid(a * evidence + b) in [0, 1]; 0.5 where the window has no voice."""
        present = voice.mask.amax(dim=1, keepdim=True)
        return torch.sigmoid(present * (self.arousal_slope * arousal_evidence(voice) + self.arousal_offset))


def capped(score: Tensor, cap: Tensor) -> Tensor:
    """(...) scores within (...) caps c, c tanh(s / c): order and sign stay, and small scores nearly so. `SCORE_LIMIT` is no cap."""
    return torch.where(cap < SCORE_LIMIT, cap * torch.tanh(score / cap), score)


def cap_slope(score: Tensor, cap: Tensor) -> Tensor:
    """(...) derivative of `capped` with respect to the score."""
    return torch.where(cap < SCORE_LIMIT, 1.0 - torch.tanh(score / cap) ** 2, torch.ones_like(score))


def arousal_evidence(voice: Nodes) -> Tensor:
    """(B, 1) mean over the audible segments of the last dimension of their embeddings, the evidence for arousal; 0 without voice."""
    return (voice.values[..., -1] * voice.mask).sum(dim=1, keepdim=True) / voice.mask.sum(dim=1, keepdim=True).clamp_min(1.0)


def served_past(values: tuple[Tensor, Tensor, Tensor], mask: Tensor, same: Tensor) -> Past:
    """Build the network's context from the served inputs: (B, K, width) by modality, (B, K, 3) and (B, K).

    Position k holds the window k + 1 windows ago.
    """
    lag = torch.arange(1, CONTEXT_WINDOWS + 1, device=same.device).expand(same.shape[0], -1)
    return Past(dict(zip(MODALITIES, values, strict=True)), dict(zip(MODALITIES, mask.unbind(dim=2), strict=True)), lag, same)


def without_windows(past: Past) -> Past:
    """The same context with all its windows masked."""
    return past._replace(mask={m: torch.zeros_like(mask) for m, mask in past.mask.items()})


def save_weights(module: ServedMMCI, path: Path) -> None:
    """Write the weights of the served model as safetensors, without the heads of `TRAINING_ONLY`."""
    kept = {name: tensor.contiguous() for name, tensor in module.state_dict().items() if not name.startswith(TRAINING_ONLY)}
    save_file(kept, path)


def load_weights(path: Path) -> ServedMMCI:
    """Read the served model, in evaluation mode.

    Raises:
        ValueError: If the file holds the weights of another network.
    """
    module = ServedMMCI(MMCI(SERVED))
    missing, unexpected = module.load_state_dict(load_file(path), strict=False)
    if unexpected or any(not name.startswith(TRAINING_ONLY) for name in missing):
        raise ValueError(f"{path.name} does not hold the weights of this network")
    return module.eval()


def node_relevance(model: MMCI, window: Window, causal: Stream, gradient: Tensor) -> Tensor:
    """Compute gradient times activation at the node features that the read-out sums: HiResCAM (arXiv 2011.08891) on a graph.

    relevance_i = w_i (d score / d g_intra,m . z_intra,i + d score / d g_inter,m . z_inter,i + d score / d skip_m . S_m x_i), for the
    score with all modalities.

    Args:
        model: The network, with its skips.
        window: Nodes of every modality.
        causal: The causal stream, with the full coalition last.
        gradient: (B, G) derivative of the adjusted score with respect to g^c of the full coalition.

    Returns:
        (B, N) relevance in score points, nodes in the order of the modalities; 0 where there is no node.
    """
    rows = []
    for modality, own in zip(MODALITIES, gradient.chunk(len(MODALITIES), dim=-1), strict=True):
        to_intra, to_inter, *to_skip = own.chunk(model.config.parts, dim=-1)
        summed = (causal.intra[modality] @ to_intra.unsqueeze(-1) + causal.inter[modality][:, -1] @ to_inter.unsqueeze(-1)).squeeze(-1)
        for slope in to_skip:
            summed = summed + cast("Skip", model.causal.skip[modality]).relevance(window[modality].values, slope)
        rows.append(causal.weights[modality] * summed)
    return torch.cat(rows, dim=1)


def example_inputs(batch: int, words: int, audio: int, video: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random inputs of the served model, in the order of `INPUT_NAMES`, for export and for tests."""
    tensors: list[Tensor] = []
    for count, modality in zip((words, audio, video), MODALITIES, strict=True):
        starts = torch.rand(batch, count, generator=generator) * 4.0
        tensors += [
            torch.randn(batch, count, WIDTHS[modality], generator=generator),
            torch.stack([starts, starts + 0.2], dim=-1),
            (torch.rand(batch, count, generator=generator) > 0.3).float(),
        ]
    tensors += [torch.randn(batch, CONTEXT_WINDOWS, WIDTHS[modality], generator=generator) for modality in MODALITIES]
    tensors.append((torch.rand(batch, CONTEXT_WINDOWS, len(MODALITIES), generator=generator) > 0.3).float())
    tensors.append((torch.rand(batch, CONTEXT_WINDOWS, generator=generator) > 0.5).float())
    return tuple(tensors)
