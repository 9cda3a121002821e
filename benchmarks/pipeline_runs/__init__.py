"""The parts of `benchmarks.pipeline`: the load, the peers and the measurement."""
