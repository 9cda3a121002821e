"""Checkpoints of the served models, from which they can be exported again without training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from stream.domain.modality import Modality
from stream.model.config import MMCIConfig
from stream.model.mmci import MMCI
from stream.model.served import ServedMMCI
from stream.training.export import export_face, export_mmci
from stream.training.faces import FaceClassifier, classifier_of


def save_face(module: FaceClassifier, folder: Path) -> None:
    """Save the weights of the face encoder and of the classifiers around it as ``face.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), folder / "face.pt")


def load_face(folder: Path) -> FaceClassifier:
    """Read the face encoder and its classifier from ``face.pt``."""
    return classifier_of(torch.load(folder / "face.pt", weights_only=True))


def save_mmci(served: ServedMMCI, folder: Path) -> None:
    """Save the served network as ``mmci.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    # Only plain values: a checkpoint is read without running the code that a pickle may hold.
    config = asdict(served.model.config) | {"evidence": [str(modality) for modality in served.model.config.evidence]}
    torch.save({"config": config, "state": served.state_dict()}, folder / "mmci.pt")


def load_mmci(folder: Path) -> ServedMMCI:
    """Read the served network from ``mmci.pt``."""
    stored = torch.load(folder / "mmci.pt", weights_only=True)
    config = stored["config"] | {"evidence": tuple(Modality(name) for name in stored["config"]["evidence"])}
    served = ServedMMCI(MMCI(MMCIConfig(**config)))
    served.load_state_dict(stored["state"])
    return served.eval()


def export_all(folder: Path, repository: Path) -> list[Path]:
    """Export the face encoder and MMCI; returns the paths of their ONNX files. The voice encoder has no checkpoint but its projection.

    Raises:
        FileNotFoundError: If one of them has no checkpoint. Nothing is written in this case.
    """
    face, served = load_face(folder), load_mmci(folder)
    return [export_face(face, repository), export_mmci(served, repository)]
