"""The parts of `benchmarks.gateway`: records that are written at live pace, viewers of the stream, and a page in a browser."""
