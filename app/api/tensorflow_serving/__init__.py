"""TensorFlow Serving's REST protocol, under `/v1/models`."""

from app.api.tensorflow_serving.requests import REQUESTS as REQUESTS
