"""The embedded stack: broker, Redis and Triton from wheels, started and supervised."""
