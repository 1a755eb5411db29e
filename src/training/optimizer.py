"""The optimizers by name. Each is called with the gradients and updates the parameters in place."""
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore.common.initializer import initializer

from config.config import LearnRateConfig

BETA1, BETA2 = 0.9, 0.98


def make_optimizer(config: LearnRateConfig, parameters: list[Parameter]) -> nn.Cell:
    """The optimizer of the configuration; its `learning_rate` is a Parameter that the trainer sets before each step."""
    if config.optimizer == "adam":
        return nn.Adam(parameters, learning_rate=config.lr, beta1=BETA1, beta2=BETA2)
    if config.optimizer == "momentum":
        return nn.Momentum(parameters, learning_rate=config.lr, momentum=0.9)
    return Lamb(parameters, config.lr)


def optimizer_state(optimizer: nn.Cell, network: nn.Cell) -> list[Parameter]:
    """What an optimizer remembers from step to step: all its parameters but the weights."""
    weights = {id(parameter) for parameter in network.get_parameters()}
    return [parameter for parameter in optimizer.get_parameters() if id(parameter) not in weights]


class Lamb(nn.Cell):
    """LAMB (You et al., 2020): Adam's step, rescaled for each parameter to the parameter's norm.

    Written here because `nn.Lamb` has no CPU kernel. Weight decay 0.01 spares norms and biases.
    """

    def __init__(self, parameters: list[Parameter], learning_rate: float, weight_decay: float = 0.01,
                 epsilon: float = 1e-6):
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.means = self.parameters.clone("lamb_mean", "zeros")
        self.variances = self.parameters.clone("lamb_variance", "zeros")
        self.decays = tuple([weight_decay if parameter.ndim > 1 else 0.0 for parameter in parameters])
        self.learning_rate = Parameter(Tensor(learning_rate), name="learning_rate", requires_grad=False)
        self.beta1_power = Parameter(initializer("ones", ()), name="beta1_power", requires_grad=False)
        self.beta2_power = Parameter(initializer("ones", ()), name="beta2_power", requires_grad=False)
        self.epsilon = epsilon

    def construct(self, gradients: tuple[Tensor, ...]) -> None:
        beta1_power = self.beta1_power * BETA1
        beta2_power = self.beta2_power * BETA2
        ops.assign(self.beta1_power, beta1_power)
        ops.assign(self.beta2_power, beta2_power)
        for i in range(len(self.parameters)):
            weight, gradient = self.parameters[i], gradients[i]
            mean = BETA1 * self.means[i] + (1.0 - BETA1) * gradient
            variance = BETA2 * self.variances[i] + (1.0 - BETA2) * gradient * gradient
            ops.assign(self.means[i], mean)
            ops.assign(self.variances[i], variance)
            step = mean / (1.0 - beta1_power) / (ops.sqrt(variance / (1.0 - beta2_power)) + self.epsilon)
            step = step + self.decays[i] * weight
            weight_norm, step_norm = ops.sqrt(ops.sum(weight * weight)), ops.sqrt(ops.sum(step * step))
            trust = ops.select(ops.logical_and(weight_norm > 0.0, step_norm > 0.0), weight_norm / step_norm,
                               ops.ones_like(weight_norm))
            ops.assign(weight, weight - self.learning_rate * trust * step)
