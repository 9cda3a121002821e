"""Generates parts of docs/model-card.md: the tables and the calibration curve."""
