"""Activations: elementwise functions of a tensor, by TensorFlow's names."""

from model_zoo.graph import Tensor, current_graph
from model_zoo.values import Named, NonNegative, register


class Activation(Named):
    """An elementwise function of a tensor; calling it emits the node."""

    __slots__ = ()

    def __call__(self, tensor: Tensor) -> Tensor:
        return current_graph().emit(
            "activation", (tensor,), tensor.shape, name=self.name, attributes={"function": self}
        )


def _activation(name: str) -> Activation:
    activation = Activation(name)

    def maker() -> Activation:
        return activation

    maker.__doc__ = f"The activation {name}, as TensorFlow computes it."
    register("activation", name, maker)
    return activation


relu = _activation("relu")
relu6 = _activation("relu6")
elu = _activation("elu")
selu = _activation("selu")
tanh = _activation("tanh")
sigmoid = _activation("sigmoid")
softplus = _activation("softplus")
softsign = _activation("softsign")
swish = _activation("swish")
hard_swish = _activation("hard_swish")
hard_sigmoid = _activation("hard_sigmoid")


def leaky_relu_with(alpha: NonNegative = 0.2) -> Activation:
    """`max(x, alpha * x)`."""
    return Activation("leaky_relu", (("alpha", float(alpha)),))


def gelu_with(approximate: bool = False) -> Activation:
    """`x * Phi(x)`, or its tanh approximation (arXiv:1606.08415)."""
    return Activation("gelu", (("approximate", approximate),))


leaky_relu = register("activation", "leaky_relu", leaky_relu_with)()
gelu = register("activation", "gelu", gelu_with)()
