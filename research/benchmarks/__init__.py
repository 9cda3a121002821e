"""The programs that make the tables of docs/research."""
