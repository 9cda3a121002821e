"""Experiments: one YAML file a row of a table, several seeds, validation chooses, results as JSON beside a curve."""
