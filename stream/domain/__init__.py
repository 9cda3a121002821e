"""Chunks, features, windows, results: frozen typed values without I/O."""
