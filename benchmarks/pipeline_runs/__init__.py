"""Parts of `benchmarks.pipeline`: the load, the peers, and what is read off them."""
