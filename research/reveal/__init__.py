"""Planted artefacts in trainings of MMCI, and whether reveal finds them."""
