"""Average checkpoints: `python weights_average.py --input_folder train_mass_cpu --output_file model.npz`."""
import argparse

from src.utils.arguments import HelpFormatter
from src.utils.average_weights import average_weights, find_checkpoints
from src.utils.errors import UsageError, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input_files", nargs="+", metavar="FILE", help="checkpoints to average")
    source.add_argument("--input_folder", metavar="DIR", help="average all checkpoints <prefix>-<step> of a folder")
    parser.add_argument("--output_file", required=True, metavar="FILE", help="where the mean goes (.npz)")
    args = parser.parse_args()
    if not args.output_file.endswith(".npz"):
        raise UsageError(f"--output_file {args.output_file!r} must end in .npz")
    paths = args.input_files or find_checkpoints(args.input_folder)
    average_weights(paths, args.output_file)
    print(f"{args.output_file}: mean of {len(paths)} checkpoints: {', '.join(paths)}")


if __name__ == "__main__":
    run(main)
