"""Event time: chunks in, windows out. A pure state machine; time is handed in."""
