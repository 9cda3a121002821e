"""The generated parts of docs/model-card.md: its tables and the calibration curve."""
