"""The voice encoder alone: on every actor of RAVDESS, under planted nuisances, and on corpora that were left out."""
