"""The parts of `benchmarks.recovery`: services that can be broken, traffic, faults, and an oracle that judges what came out."""
