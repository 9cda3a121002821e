"""`sentistream explain`: looks at one final window again, from the local store, and compares explainers on it."""
