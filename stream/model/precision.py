"""Arithmetic that trains faster where the processor has it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def low_precision() -> AbstractContextManager[object]:
    """bfloat16 arithmetic where the processor has it (twice as fast), else float32."""
    if torch.cpu.get_capabilities().get("avx512_bf16", False):
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()
