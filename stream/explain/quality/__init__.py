"""Measures of explanations, and checks that tell which of these measures to trust."""
