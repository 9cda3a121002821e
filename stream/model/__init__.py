"""MMCI: the multi-relational graph with causal and shortcut attention and backdoor adjustment."""
