"""Pre-train or fine-tune: `python train.py --config config/config.json`."""

from config import load_config
from config.reference import help_text
from src.common.arguments import CommandLineParser, whole_number
from src.common.errors import run
from src.common.interruption import importing_mindspore


def main() -> int:
    parser = CommandLineParser(description=__doc__, epilog=help_text())
    parser.add_argument("--config", required=True, metavar="FILE", help="configuration file (JSON)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                        help="override one key; may be repeated")
    parser.add_argument("--run_folder", metavar="DIR",
                        help="folder for checkpoints and metrics if checkpoint_options.ckpt_path is empty "
                             "(default: train_mass_cpu, train_mass_gpu0, ... in this folder)")
    parser.add_argument("--resume", type=str, nargs="?", const="", metavar="PATH",
                        help="resume a run: from the newest complete checkpoint of the run folder (or start a new run "
                             "if there is none yet), or from the checkpoint or folder PATH. To start a new run from "
                             "weights, use checkpoint_options.existed_ckpt")
    parser.add_argument("--show_batch", type=whole_number(1), nargs="?", const=1, metavar="ROWS",
                        help="print the first ROWS rows (1 if not given) of the first training batch as the network "
                             "receives them, and do not train")
    parser.add_argument("--check_device", action="store_true",
                        help="compile and run every graph of the program once on training_config.device_target, with "
                             "a small network and without data, and do not train")
    args = parser.parse_args()
    config = load_config(args.config, args.overrides)

    with importing_mindspore():  # takes seconds, so the configuration is checked first
        from src.training.data import describe_first_batch
        from src.training.device_check import check_device
        from src.training.trainer import train

    if args.check_device:
        return check_device(config)
    if args.show_batch:
        for line in describe_first_batch(config, args.show_batch):
            print(line)
        return 0

    device = config.training_config
    number = "" if device.device_target == "CPU" else device.device_id
    result = train(config, args.run_folder or f"train_mass_{device.device_target.lower()}{number}", args.resume)
    best = f", best at step {result.best_step}" if result.best_step else ""
    reason = f" ({result.reason})" if result.reason else ""
    if result.checkpoint:  # only the main rank has one
        print(f"{'stopped' if result.exit_code else 'done'} after {result.steps} steps{reason}{best}: "
              f"{result.checkpoint}{'; continue with --resume' if result.exit_code else ''}")
    return result.exit_code


if __name__ == "__main__":
    run(main)
