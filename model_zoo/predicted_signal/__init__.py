"""The size of a network's signal at initialization, from its trace alone."""
