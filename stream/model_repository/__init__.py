"""The Triton model repository on disk: builds the encoders that are not in git, and checks all models."""
