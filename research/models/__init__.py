"""The models of the tables: one interface, the baselines, and MMCI with its interventions."""
