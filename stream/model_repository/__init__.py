"""The Triton model repository on disk: builds the encoders that are not committed, and checks all models."""
