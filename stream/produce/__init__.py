"""Media files into the chunk topics, live-paced or as fast as possible."""
