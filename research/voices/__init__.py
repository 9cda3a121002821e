"""The audio encoder on every actor of RAVDESS, and under planted nuisances."""
