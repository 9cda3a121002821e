"""`sentistream demo`."""
