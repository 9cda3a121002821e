"""The programs that measure and fill the tables of docs/research."""
