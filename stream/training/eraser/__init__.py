"""The eraser: it finds artefacts in training features and takes them out, without artefact labels."""
