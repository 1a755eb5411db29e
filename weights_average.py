"""Average checkpoints: `python weights_average.py --input_folder train_mass_cpu --best 5 --output_file model.npz`."""
import os

from src.checkpoints.average import Candidate, average_weights, best, find_candidates, newest
from src.common.arguments import CommandLineParser
from src.common.errors import UsageError, run


def main() -> None:
    parser = CommandLineParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input_files", nargs="+", metavar="FILE", help="checkpoints to average")
    source.add_argument("--input_folder", metavar="DIR",
                        help="average the checkpoints <prefix>-<step> of a run folder: all of them, or those that "
                             "--newest or --best selects")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--newest", type=int, metavar="N", help="average the N checkpoints with the highest steps")
    choice.add_argument("--best", type=int, metavar="N",
                        help="average the N checkpoints of the best validations in the folder's metrics.jsonl, by the "
                             "run's training_config.best_metric; checkpoints whose step was not validated are ignored")
    parser.add_argument("--output_file", required=True, metavar="FILE", help="file for the averaged weights (.npz)")
    parser.add_argument("--overwrite", action="store_true", help="replace an output file that exists")
    args = parser.parse_args()
    if not args.output_file.endswith(".npz"):
        raise UsageError(f"--output_file {args.output_file!r} must end in .npz")
    if os.path.exists(args.output_file) and not args.overwrite:
        raise UsageError(f"--output_file {args.output_file!r} exists: give --overwrite to replace it, or choose "
                         f"another name")
    if args.input_files and (args.newest is not None or args.best is not None):
        raise UsageError("--newest and --best choose from a folder: use them with --input_folder, not --input_files")
    chosen = args.input_files or _choose(find_candidates(args.input_folder), args.newest, args.best)
    paths = args.input_files or [candidate.path for candidate in chosen]
    average_weights(paths, args.output_file)
    print(f"{args.output_file}: mean of {len(chosen)} checkpoints:")
    for checkpoint in chosen:
        print(f"  {checkpoint}")


def _choose(candidates: list[Candidate], newest_count: int | None, best_count: int | None) -> list[Candidate]:
    if newest_count is not None:
        return newest(candidates, newest_count)
    return candidates if best_count is None else best(candidates, best_count)


if __name__ == "__main__":
    run(main)
