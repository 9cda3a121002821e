"""The client of the Triton server: the models as functions, outages, errors and canaries."""
