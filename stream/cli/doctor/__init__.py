"""``sentistream doctor``."""
