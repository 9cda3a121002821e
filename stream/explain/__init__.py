"""Explains why a window got its score: contributions, evidence and one plain sentence. Also sums up sessions."""
