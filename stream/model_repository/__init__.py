"""The Triton model repository on disk: built, checked, and the text encoder's weights that are not committed."""
