"""Experiments: a YAML file for each row of a table, several seeds, results as JSON with a training curve."""
