"""One settings tree, from YAML and the environment."""
