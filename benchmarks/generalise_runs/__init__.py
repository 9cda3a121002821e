"""Parts of ``benchmarks.generalise``: corpora of voices, the running product, faces."""
