"""Trials of planted shortcuts: honest data, plants, and defences against them."""
