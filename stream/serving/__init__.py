"""The Triton client and the model repository."""
