"""Parts of ``benchmarks.call``: a call through the running product, labelled turns, measures."""
