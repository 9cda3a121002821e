"""The pages, and the programs that draw their pictures."""
