"""The models that the field compares with, each small and from its published equations, behind `SentimentModel`."""
