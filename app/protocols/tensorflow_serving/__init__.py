"""TensorFlow Serving's REST protocol: what paths and bodies say, and what is answered."""
