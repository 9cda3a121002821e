"""The connection to the broker through kafka-python, and its topics."""
