"""The networks, one module a family. Importing this package registers them all."""

from model_zoo.architectures import cifarnet, inception_v3, lenet, mobilenet_v1

__all__ = ["cifarnet", "inception_v3", "lenet", "mobilenet_v1"]
