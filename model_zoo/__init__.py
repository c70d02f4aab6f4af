"""TF-Slim's arg scopes and network zoo, traced without TensorFlow and lowered to Keras 3."""
