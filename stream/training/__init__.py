"""Data sets, losses, the training loop, evaluation and export to the model repository."""
