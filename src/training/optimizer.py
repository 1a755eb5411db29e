"""The optimizers. Each is called with the gradient buffers and updates the parameters in place.

nn.Adam and nn.Momentum compute the same, but MindSpore took 16 s to compile their step for a network of 3+3 layers; the
step here takes less than 2. Compilation is slow with a tuple of all scaled gradients, with a method call for each
parameter, and with `*` and `+`, which MindSpore has to resolve each time. nn.Lamb has no CPU kernel.
"""
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

from config.config import LearnRateConfig
from config.registry import registry
from src.transformer.operators.interface import Operators

BETA1, BETA2 = 0.9, 0.98


def optimizer_state(optimizer: nn.Cell, network: nn.Cell) -> list[Parameter]:
    """Return the state of an optimizer: all its parameters except the weights of the network."""
    weights = {id(parameter) for parameter in network.get_parameters()}
    return [parameter for parameter in optimizer.get_parameters() if id(parameter) not in weights]


class Optimizer(nn.Cell):
    """The base class of the optimizers.

    `construct(gradients, factor)` updates each parameter by its entry of `gradients` times `factor`, which is None for
    1, and returns a tensor without meaning. A gradient may also be flat, [size]; a tuple of reshaped gradients would be
    slow to compile. `learning_rate` is a Parameter that is set before each step.
    """

    def __init__(self, parameters: list[Parameter], learning_rate: float, operators: Operators):
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.shapes = tuple([parameter.shape for parameter in parameters])
        self.learning_rate = _scalar("learning_rate", learning_rate)


class Momentum(Optimizer):
    """v = 0.9 v + gradient; weight -= learning rate * v (Polyak, 1964; Sutskever et al., 2013)."""

    def __init__(self, parameters: list[Parameter], learning_rate: float, operators: Operators):
        super().__init__(parameters, learning_rate, operators)
        self.moments = self.parameters.clone("moments", "zeros")
        self.apply_momentum = ops.ApplyMomentum()

    def construct(self, gradients: tuple[Tensor, ...], factor: Tensor | None) -> Tensor:
        # MindSpore's GPU back end fuses ApplyMomentum with a product of a scalar, into a graph that has a cycle.
        factor = None if factor is None else ops.reshape(factor, (1,))
        for i in range(len(self.parameters)):
            self.apply_momentum(self.parameters[i], self.moments[i], self.learning_rate,
                                scaled(ops.reshape(gradients[i], self.shapes[i]), factor), 0.9)
        return self.learning_rate if factor is None else factor


class _WithMoments(Optimizer):
    """Keeps running means of the gradient and of its square, and the powers beta^step for their bias correction."""

    def __init__(self, parameters: list[Parameter], learning_rate: float, operators: Operators):
        super().__init__(parameters, learning_rate, operators)
        self.means = self.parameters.clone("moment1", "zeros")
        self.variances = self.parameters.clone("moment2", "zeros")
        self.beta1_power = _scalar("beta1_power", 1.0)
        self.beta2_power = _scalar("beta2_power", 1.0)
        self.assign = ops.Assign()

    def next_powers(self) -> tuple[Tensor, Tensor]:
        """Advance beta1^step and beta2^step by one step and return them."""
        beta1_power, beta2_power = self.beta1_power * BETA1, self.beta2_power * BETA2
        self.assign(self.beta1_power, beta1_power)
        self.assign(self.beta2_power, beta2_power)
        return beta1_power, beta2_power


class Adam(_WithMoments):
    """Adam (Kingma and Ba, 2015) in the form at the end of section 2, where epsilon (1e-8) is not bias-corrected."""

    def __init__(self, parameters: list[Parameter], learning_rate: float, operators: Operators):
        super().__init__(parameters, learning_rate, operators)
        self.adam = operators.adam(self.parameters, self.means, self.variances, (BETA1, BETA2, 1e-8))

    def construct(self, gradients: tuple[Tensor, ...], factor: Tensor | None) -> Tensor:
        beta1_power, beta2_power = self.next_powers()
        return self.adam(gradients, beta1_power, beta2_power, self.learning_rate, factor)


class Lamb(_WithMoments):
    """LAMB (You et al., 2020): Adam's step, rescaled for each parameter to the parameter's norm.

    Weight decay is 0.01, except on norms and biases.
    """

    def __init__(self, parameters: list[Parameter], learning_rate: float, operators: Operators,
                 weight_decay: float = 0.01, epsilon: float = 1e-6):
        super().__init__(parameters, learning_rate, operators)
        self.decays = tuple([weight_decay if parameter.ndim > 1 else 0.0 for parameter in parameters])
        self.epsilon = epsilon
        self.assign_sub = ops.AssignSub()

    def construct(self, gradients: tuple[Tensor, ...], factor: Tensor | None) -> Tensor:
        beta1_power, beta2_power = self.next_powers()
        mean_rest, variance_rest = ops.sub(1.0, beta1_power), ops.sub(1.0, beta2_power)
        for i in range(len(self.parameters)):
            weight, gradient = self.parameters[i], scaled(ops.reshape(gradients[i], self.shapes[i]), factor)
            mean = self.advance(self.means[i], gradient, BETA1)
            variance = self.advance(self.variances[i], ops.square(gradient), BETA2)
            step = ops.div(ops.div(mean, mean_rest),
                           ops.add(ops.sqrt(ops.div(variance, variance_rest)), self.epsilon))
            if self.decays[i]:
                step = ops.add(step, ops.mul(weight, self.decays[i]))
            weight_norm, step_norm = _norm(weight), _norm(step)
            either_is_zero = ops.equal(ops.mul(weight_norm, step_norm), 0.0)
            trust = ops.select(either_is_zero, ops.ones_like(weight_norm), ops.div(weight_norm, step_norm))
            self.assign_sub(weight, ops.mul(ops.mul(trust, self.learning_rate), step))
        return self.learning_rate if factor is None else factor

    def advance(self, mean: Parameter, value: Tensor, beta: float) -> Tensor:
        """Advance a running mean by one value and return it."""
        new = ops.add(ops.mul(mean, beta), ops.mul(value, 1.0 - beta))
        self.assign(mean, new)
        return new


OPTIMIZERS: dict[str, type[Optimizer]] = registry(LearnRateConfig, "optimizer", {
    "adam": Adam,
    "lamb": Lamb,
    "momentum": Momentum,
})


def make_optimizer(config: LearnRateConfig, parameters: list[Parameter], operators: Operators) -> Optimizer:
    """Return the optimizer that the configuration names, for these parameters, made of these operators."""
    return OPTIMIZERS[config.optimizer](parameters, config.lr, operators)


def scaled(gradient: Tensor, factor: Tensor | None) -> Tensor:
    """Return the gradient times the factor."""
    return gradient if factor is None else ops.mul(gradient, factor)


def _norm(x: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x)))


def _scalar(name: str, value: float) -> Parameter:
    return Parameter(Tensor(value, mstype.float32), name=name, requires_grad=False)
