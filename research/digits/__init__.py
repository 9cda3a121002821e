"""Spoken-digit images: digits that are written, spoken and named among distractors, with masks of where they are."""
