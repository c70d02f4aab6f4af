"""The few layers that Keras cannot express exactly; loading a file with one needs this package."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from model_zoo.resizing import bilinear_weights


@keras.saving.register_keras_serializable(package="model_zoo")
class Affine(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """`x * gamma + beta` over the last dimensions; either may be missing.

    Shape: (N, ...) -> the same; gamma and beta have the given shape.
    """

    def __init__(
        self,
        shape: Sequence[int],
        center: bool = True,
        scale: bool = True,
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.center, self.scale = center, scale
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)

    def build(self, _input_shape: Any) -> None:
        """Create gamma and beta."""
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape=self.shape,
                initializer="ones",
                regularizer=self.gamma_regularizer,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape=self.shape,
                initializer="zeros",
                regularizer=self.beta_regularizer,
                name="beta",
            )

    def call(self, x: Any) -> Any:
        """Scale and shift."""
        if self.gamma is not None:
            x = x * self.gamma
        return x if self.beta is None else x + self.beta

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "center": self.center,
            "scale": self.scale,
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
        }


@keras.saving.register_keras_serializable(package="model_zoo")
class BatchStatisticsNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """TF-Slim's batch norm with `is_training`: by the batch's statistics, also in prediction.

    The moving averages move only when the layer is called with `training=True`, so prediction
    changes nothing, and without `updates` never. Keras's own moves its variance by the biased one;
    TensorFlow's fused kernel, and this with `fused`, by n / (n - 1) of it.
    """

    def __init__(self, fused: bool = True, updates: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fused, self.updates = fused, updates

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Normalise; update the moving averages if training."""
        axes = tuple(range(len(x.shape) - 1))
        mean, variance = ops.moments(x, axes)
        if training and self.updates:
            count = ops.cast(ops.prod(ops.shape(x)[:-1]), variance.dtype)
            moved = variance
            if self.fused:
                moved = variance * count / ops.maximum(count - 1, 1)
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
            self.moving_variance.assign(
                self.moving_variance * self.momentum + moved * (1 - self.momentum)
            )
        return ops.batch_normalization(
            x, mean, variance, axis=-1, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "fused": self.fused, "updates": self.updates}


@keras.saving.register_keras_serializable(package="model_zoo")
class ResizeBilinear(keras.layers.Layer):  # type: ignore[misc]
    """Bilinear resizing with aligned corners; Keras's own aligns the centres of the pixels.

    Shape: (N, H, W, C) -> (N, *size, C)
    """

    def __init__(self, size: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def call(self, x: Any) -> Any:
        """Resize by one matrix a dimension."""
        height, width = (
            ops.cast(bilinear_weights(size, resized), x.dtype)
            for size, resized in zip(x.shape[1:3], self.size, strict=True)
        )
        return ops.einsum("hi,wj,nijc->nhwc", height, width, x)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Shape: (N, H, W, C) -> (N, *size, C)."""
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="model_zoo")
class ActiveDropout(keras.layers.Dropout):  # type: ignore[misc]
    """TF-Slim's dropout with `is_training`: it drops in prediction too."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Drop and scale, in training and in prediction."""
        return super().call(x, training=True)
