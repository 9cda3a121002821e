"""The parts of `research.benchmarks.ood`, one module for each shift or attack."""
