"""The Triton model repository on disk: assembles the text encoder, which is not committed, and checks all models."""
