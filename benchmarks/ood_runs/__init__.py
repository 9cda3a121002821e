"""The parts of `benchmarks.ood`: each shift, attack and gap in a module of its own."""
