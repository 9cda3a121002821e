"""`sentistream doctor`."""
