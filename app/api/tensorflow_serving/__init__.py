"""TensorFlow Serving's REST protocol, under `/v1/models`."""
