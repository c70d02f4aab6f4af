"""Where networks run: a small protocol, and a worker process that owns TensorFlow."""
