"""What `benchmarks.faces` measures: clips, pictures put together, scores and cost."""
