"""TensorFlow Serving's REST protocol: paths, bodies and answers. Nothing here knows HTTP."""
