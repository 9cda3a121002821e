"""Nuisances: what a recording has that says nothing about the feeling in it. Marks put one on raw media, measures find it."""
