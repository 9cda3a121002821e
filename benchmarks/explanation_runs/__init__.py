"""The parts of ``python -m benchmarks.explanations``."""
