"""``sentistream demo``."""
