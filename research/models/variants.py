"""Names of the models in the tables, and their construction."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from research.models.baselines.bclstm import BcLSTM
from research.models.baselines.cider import ClassPrototypes
from research.models.baselines.clue import Counterfactual
from research.models.baselines.fusion import Fusion
from research.models.baselines.gear import Reweighted
from research.models.baselines.late_fusion import LateFusion, TextOnly
from research.models.baselines.misa import MISA
from research.models.baselines.mult import MulT
from research.models.baselines.rgcn import RelationalGraph
from research.models.baselines.self_mm import SelfMM
from research.models.baselines.tensor_fusion import LowRankFusion, TensorFusion
from research.models.interface import SentimentModel
from research.models.intervention import Intervention, InterventionModel
from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig


class Variant(StrEnum):
    """A model of the tables."""

    TEXT_ONLY = "text-only"
    LATE_FUSION = "late-fusion"
    FUSION = "fusion"
    TFN = "tfn"
    LMF = "lmf"
    MULT = "mult"
    MISA = "misa"
    SELF_MM = "self-mm"
    BC_LSTM = "bc-lstm"
    RGCN = "rgcn"
    CIDER = "cider"
    GEAR = "gear"
    CLUE = "clue"
    MMCI = "mmci"


class VariantConfig(BaseModel):
    """A model with its sizes and switches. A model ignores the switches that it does not have.

    Attributes:
        name: The model.
        hidden: Width of its states.
        dropout: Dropout of inputs and in heads.
        both_ways: bc-LSTM: use later utterances too.
        intervention: MMCI: see `research.models.intervention`.
        strata: MMCI: number of shortcut strata.
        intra: MMCI: relations within a modality.
        inter: MMCI: relations across modalities.
        typed: MMCI: separate weights for each relation.
        attention: MMCI: learned causal and shortcut shares.
        skip: MMCI: the pooled encoder outputs in the causal read-out. Left out of dumps at its default, so that seeds that were
            trained before it existed stay finished.
        shortcut_stream: MMCI: the shortcut stream, and with it the intervention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Variant
    hidden: int = Field(32, ge=4, le=1024)
    dropout: float = Field(0.3, ge=0, lt=1)
    both_ways: bool = False
    intervention: Intervention = "strata"
    strata: int = Field(8, ge=1, le=256)
    intra: bool = True
    inter: bool = True
    typed: bool = True
    attention: bool = True
    skip: bool = Field(False, exclude_if=lambda value: not value)
    shortcut_stream: bool = True


def build(config: VariantConfig, widths: dict[Modality, int], past: int, windows: int) -> SentimentModel:
    """Build a new model with random weights from torch's global generator.

    Args:
        config: Configuration of the model.
        widths: Width of the nodes of each modality that the data set has.
        past: Number K of past windows in the inputs.
        windows: Number of training windows, for models that keep a state for each.
    """
    sizes = (widths, config.hidden, config.dropout)
    graph = graph_config(config, widths, past)
    builders: dict[Variant, Callable[[], SentimentModel]] = {
        Variant.TEXT_ONLY: lambda: TextOnly(*sizes),
        Variant.LATE_FUSION: lambda: LateFusion(*sizes),
        Variant.FUSION: lambda: Fusion(*sizes),
        Variant.TFN: lambda: TensorFusion(*sizes),
        Variant.LMF: lambda: LowRankFusion(*sizes),
        Variant.MULT: lambda: MulT(*sizes, past),
        Variant.MISA: lambda: MISA(*sizes),
        Variant.SELF_MM: lambda: SelfMM(*sizes, windows),
        Variant.BC_LSTM: lambda: BcLSTM(*sizes, both_ways=config.both_ways),
        Variant.RGCN: lambda: RelationalGraph(graph),
        Variant.CIDER: lambda: ClassPrototypes(*sizes),
        Variant.GEAR: lambda: Reweighted(*sizes),
        Variant.CLUE: lambda: Counterfactual(*sizes),
        Variant.MMCI: lambda: InterventionModel(graph, config.intervention, shortcut_stream=config.shortcut_stream),
    }
    return builders[config.name]()


def graph_config(config: VariantConfig, widths: dict[Modality, int], past: int) -> MMCIConfig:
    """Configuration of the graph network. Modalities that the data set lacks have nodes of width 1, which are all masked."""
    text, audio, video = (widths.get(modality, 1) for modality in MODALITIES)
    return MMCIConfig(
        hidden=config.hidden,
        head_hidden=config.hidden,
        strata=config.strata,
        dropout=config.dropout,
        widths=(text, audio, video),
        past=past,
        intra=config.intra,
        inter=config.inter,
        typed=config.typed,
        attention=config.attention,
        skip=config.skip,
    )
