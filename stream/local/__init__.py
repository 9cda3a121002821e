"""Runs the service and everything that it needs on one machine: the embedded Kafka, Redis and Triton, and workers, as child processes."""
