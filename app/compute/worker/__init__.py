"""What runs in a process of a worker: an engine, or both, the device and the models."""
