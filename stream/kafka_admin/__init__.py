"""How kafka-python connects to the broker, and the topics on it."""
