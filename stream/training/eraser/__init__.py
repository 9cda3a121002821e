"""The eraser: it finds artefacts in training features and removes them, without artefact labels."""
