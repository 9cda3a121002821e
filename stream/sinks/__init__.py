"""Where results go: Redis, result topics, dead letters."""
