"""Planted shortcuts: honest data, plants, defences against them, and small networks to measure them with."""
