"""From samples, face crops and words to model inputs: shapes, rates and normalisation in one place."""
