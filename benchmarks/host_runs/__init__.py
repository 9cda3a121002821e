"""The parts of `benchmarks.hosts`: network namespaces as hosts, the services on one of them, and traffic with an account of it."""
