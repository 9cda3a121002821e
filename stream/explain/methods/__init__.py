"""Explainers behind one protocol: what each word, segment of voice and face frame adds to a window's score, in many ways."""
