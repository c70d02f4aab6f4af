"""TensorFlow Serving's REST protocol, under `/v1/models`."""

from app.api.tensorflow_serving import routes
from app.api.tensorflow_serving.requests import REQUESTS as REQUESTS

ROUTERS = (routes.router,)
