"""The settings: one tree, read from YAML and the environment; and the log format."""
