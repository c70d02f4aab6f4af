"""What runs in a worker: the process that owns TensorFlow, the device and the models."""
