"""Reads the transcripts that a user brings, as subtitle tools and speech recognisers write them: ``read`` is the entrance."""
