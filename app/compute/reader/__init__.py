"""What runs in a reader: a process that decodes what clients send, and holds nothing else."""
