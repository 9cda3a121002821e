"""The JSON of speech recognisers: each module knows the shapes of one maker or family, `shapes` has the table."""
