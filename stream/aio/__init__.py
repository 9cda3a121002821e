"""Helpers for asyncio that the standard library lacks: batching, backoff, waiting out an outage, cancellation, tasks, signals."""
