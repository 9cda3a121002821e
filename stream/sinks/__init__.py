"""The sinks of results: Redis, its reader and its refill; the records of the result topics and of the dead letters."""
