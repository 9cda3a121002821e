"""Research beside the product: baselines, variants, experiments and their benchmarks. Runs from a checkout; not in the wheel."""
