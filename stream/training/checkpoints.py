"""The live models' weights as torch keeps them, so that they can be exported again without training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from stream.model.encoders import AudioEncoder, FaceEncoder
from stream.model.mmci import MMCI, MMCIConfig
from stream.model.served import ServedMMCI
from stream.training.export import AUDIO_ENTRY, FACE_ENTRY, export_encoder, export_mmci


def save_encoder(module: AudioEncoder | FaceEncoder, name: str, folder: Path) -> None:
    """Keep an encoder's weights as ``NAME.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), folder / f"{name}.pt")


def save_mmci(served: ServedMMCI, folder: Path) -> None:
    """Keep the served network as ``mmci.pt``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"config": asdict(served.model.config), "state": served.state_dict()}, folder / "mmci.pt")


def load_mmci(folder: Path) -> ServedMMCI:
    """The served network from ``mmci.pt``."""
    stored = torch.load(folder / "mmci.pt", weights_only=True)
    served = ServedMMCI(MMCI(MMCIConfig(**stored["config"])))
    served.load_state_dict(stored["state"])
    return served.eval()


def export_all(folder: Path, repository: Path) -> list[Path]:
    """Write the ONNX files of the three live models.

    Raises:
        FileNotFoundError: If one of them has no checkpoint; nothing is written then.
    """
    audio, face = AudioEncoder(), FaceEncoder()
    audio.load_state_dict(torch.load(folder / "audio.pt", weights_only=True))
    face.load_state_dict(torch.load(folder / "face.pt", weights_only=True))
    served = load_mmci(folder)
    return [export_encoder(audio, AUDIO_ENTRY, repository), export_encoder(face, FACE_ENTRY, repository), export_mmci(served, repository)]
