"""Published models for comparison, each in a small version from its equations, as `SentimentModel`."""
