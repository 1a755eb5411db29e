"""MindSpore set up for a device."""
from config.config import Config
from src.utils.errors import MassError


def set_up_device(config: Config) -> None:
    """Choose graph mode, device and seed; a device that MindSpore does not find here is a MassError."""
    import mindspore

    model, training = config.model_config, config.training_config
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    try:
        mindspore.set_device(training.device_target, training.device_id)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MassError(f"training_config.device_target is {training.device_target}: MindSpore "
                        f"{mindspore.__version__} cannot use it here ({reason})") from error
    if model.save_graphs:
        mindspore.set_context(save_graphs=1, save_graphs_path="graphs")
    mindspore.set_seed(model.random_seed)
