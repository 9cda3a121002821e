"""Trials of planted shortcuts: data without leaks, plants, and defences against them."""
