"""The live page and the API: one process that shows what Redis holds to people and programs."""
