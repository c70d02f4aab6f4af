"""A Ray cluster of two nodes on one machine, against the local engine, and what its losses cost."""
