"""The parts of `benchmarks.recovery`: services that can fail, traffic, faults, and an oracle that checks the published windows."""
