"""The parts of `research.benchmarks.ood`: each shift, attack and gap in a module of its own."""
