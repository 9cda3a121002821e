"""Reveal: which nuisances move the scores of a model that they should not move. Detectors are pure; probes and models are edges."""
