"""Alert rules: read from YAML, checked, and evaluated on each final window; pure code."""
