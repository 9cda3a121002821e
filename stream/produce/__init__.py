"""Sends media files to the chunk topics as sessions, at live pace or as fast as possible."""
