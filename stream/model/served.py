"""The served model: a window and its context in; scores of all coalitions and the material of explanations out.

`stream.training.export` exports it to ONNX.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS
from stream.domain.inference import COALITIONS, EVERYTHING, MODALITY_SETS, SCORE_LIMIT
from stream.domain.media_format import FACE_WIDTH, VOICE_POLARITIES, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig
from stream.model.heads import capped
from stream.model.input_slope import input_slope
from stream.model.mmci import MMCI
from stream.model.nodes import Nodes, Past, Window, node_sum
from stream.model.owen import OwenPath, Scored
from stream.model.terms import Reading

FULL = MODALITY_SETS - 1
"""Index of the set of all modalities."""

SERVED = MMCIConfig(
    widths=(WORD_WIDTH, VOICE_POLARITIES, FACE_WIDTH),
    evidence=(Modality.AUDIO,),
    past=CONTEXT_WINDOWS,
)
"""The served network. Of a segment of voice it reads the evidence for the polarities; the last number is for the arousal alone."""

WEIGHTS = "weights.safetensors"
"""File beside the ONNX file that holds the same weights for torch."""

OPTIONAL = ("word_ridge",)
"""Weights that a file may lack."""

TRAINING_ONLY = ("model.head_causal.", "model.head_shortcut.")
"""Prefixes of weights that only the loss uses."""

OUTPUT_NAMES: tuple[str, ...] = (
    *("coalition_scores", "coalition_probabilities", "causal", "relevance"),
    *("score_unadjusted", "to_review", "arousal", "face_slope", "word_effects"),
)


def coalition_gates() -> Tensor:
    """(1, 8, 3) gates: row s has a 1 for every modality whose bit is set in s."""
    rows = [[float(bool(index & modality.bit)) for modality in MODALITIES] for index in range(MODALITY_SETS)]
    return torch.tensor([rows])


class ServedMMCI(nn.Module):
    """The model ``mmci`` of the repository: a trained `MMCI` with its calibration.

    Attributes:
        gates: (1, 8, 3) the sets of modalities.
        bits: (3,) bits of the modalities.
        temperatures: (8,) divisors of the logits, fitted on validation windows. Indexed by the modalities that are present: the
            coalition of text and voice is the coalition of text in a window without voice.
        review_below: (8,) thresholds, indexed in the same way: a window whose label has a lower probability is set aside for
            review by a person.
        score_caps: (8,) what no score exceeds, indexed in the same way; `SCORE_LIMIT` for no cap.
        arousal_slope: () slope of the arousal's logit, fitted on validation windows.
        arousal_offset: () its offset.
        word_ridge: (`WORD_WIDTH` + 1,) weights of a word's state, and a constant, that estimate what its removal does to the score; see
            `stream.training.word_effects`. 0 where they were not fitted.
    """

    gates: Tensor
    bits: Tensor
    temperatures: Tensor
    review_below: Tensor
    score_caps: Tensor
    arousal_slope: Tensor
    arousal_offset: Tensor
    word_ridge: Tensor

    def __init__(self, model: MMCI) -> None:
        """Wrap a network. Raises ``ValueError`` if it lacks a part."""
        super().__init__()
        config = model.config
        if not (config.skip and config.intra and config.inter and config.attention and config.past):
            raise ValueError("only a complete network can be served")
        self.model = model
        self.register_buffer("gates", coalition_gates())
        self.register_buffer("bits", torch.tensor([float(modality.bit) for modality in MODALITIES]))
        self.register_buffer("temperatures", torch.ones(MODALITY_SETS))
        self.register_buffer("review_below", torch.zeros(MODALITY_SETS))
        self.register_buffer("score_caps", torch.full((MODALITY_SETS,), SCORE_LIMIT))
        self.register_buffer("arousal_slope", torch.tensor(1.0))
        self.register_buffer("arousal_offset", torch.tensor(0.0))
        self.register_buffer("word_ridge", torch.zeros(WORD_WIDTH + 1))
        self.reading, self.owen = Reading(model.config), OwenPath()

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
            (B, W + A + V), relevance (B, W + A + V), the unadjusted score (B, 1), 1 for a window to review (B, 1), the arousal
            of the voice (B, 1), the mean derivative of the score with respect to the faces, along their path (B, V, `FACE_WIDTH`), and
            the estimated effect of each word's removal (B, W).
        """
        nodes = (Nodes(words, word_times, word_mask), Nodes(audio, audio_times, audio_mask), Nodes(video, video_times, video_mask))
        window: Window = dict(zip(MODALITIES, nodes, strict=True))
        past = served_past((past_words, past_audio, past_video), past_mask, past_same)
        model, bank, head = self.model, self.model.bank, self.model.head
        graph = model.pass_messages(window, past)
        terms = self.reading.terms(graph.causal, model.causal.skipped(window, graph.causal))
        first_layer = self.reading.first_layer(head, graph.causal.weights, terms)
        before_relu = bank.over_strata(head, first_layer)
        present = torch.stack([part.mask.amax(dim=1) for part in nodes], dim=1)
        effective = (self.gates * present.unsqueeze(1) * self.bits).sum(dim=-1).long().repeat(1, 2)
        adjusted = bank.average(head, before_relu[:, :COALITIONS], self.temperatures[effective])
        caps = self.score_caps[effective]
        scores = capped(adjusted.score, caps)
        middle, slope = bank.score_and_slope(head, before_relu[:, COALITIONS:])
        scored = Scored(scores, caps, middle, slope)
        face_path = self.owen.slope_of(Modality.VIDEO, scored)
        confidence = adjusted.probabilities[:, EVERYTHING].amax(dim=-1)
        shortcut = model.shortcut.read(window, graph.shortcut, self.gates[:, FULL:]).readout[:, 0]
        unadjusted = head.answer(first_layer[:, EVERYTHING] + head.inner(shortcut))
        return (
            scores,
            adjusted.probabilities,
            torch.cat([graph.attention[m] for m in MODALITIES], dim=1),
            self.owen(model, window, graph.causal, terms, scored),
            capped(unadjusted.score.unsqueeze(-1), caps[:, EVERYTHING:]),
            (confidence < self.review_below[effective[:, EVERYTHING]]).float().unsqueeze(-1),
            self._arousal(window[Modality.AUDIO]),
            input_slope(model, window, graph, terms, face_path, modality=Modality.VIDEO),
            (words @ self.word_ridge[:-1] + self.word_ridge[-1]) * word_mask,
        )

    def _arousal(self, voice: Nodes) -> Tensor:
        """(B, 1) sigmoid(a * evidence + b) in [0, 1]; 0.5 where the window has no voice."""
        present = voice.mask.amax(dim=1, keepdim=True)
        return torch.sigmoid(present * (self.arousal_slope * arousal_evidence(voice) + self.arousal_offset))


def arousal_evidence(voice: Nodes) -> Tensor:
    """(B, 1) mean over the audible segments of the last dimension of their embeddings, the evidence for arousal; 0 without voice."""
    return node_sum((voice.values[..., -1] * voice.mask).unsqueeze(1)) / voice.mask.sum(dim=1, keepdim=True).clamp_min(1.0)


def served_past(values: tuple[Tensor, Tensor, Tensor], mask: Tensor, same: Tensor) -> Past:
    """Build the network's context from the served inputs: (B, K, width) by modality, (B, K, 3) and (B, K).

    Position k holds the window k + 1 windows ago.
    """
    lag = torch.arange(1, CONTEXT_WINDOWS + 1, device=same.device).expand(same.shape[0], -1)
    return Past(dict(zip(MODALITIES, values, strict=True)), dict(zip(MODALITIES, mask.unbind(dim=2), strict=True)), lag, same)


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
    if unexpected or any(not name.startswith(TRAINING_ONLY + OPTIONAL) for name in missing):
        raise ValueError(f"{path.name} does not hold the weights of this network")
    return module.eval()


def example_inputs(batch: int, words: int, audio: int, video: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random inputs of the served model, in the order of `stream.domain.inference.INPUT_NAMES`, for export and for tests."""
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
