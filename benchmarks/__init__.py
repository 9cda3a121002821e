"""Measurements: each module is a program that prints one JSON object as its last line."""
