"""A session as a file: JSON lines, CSV, or the analysis of a vCon."""
