"""sentistream: live conversations in, explained sentiment out."""
