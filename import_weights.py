"""Make a run folder of a Hugging Face model: `python import_weights.py --input FOLDER --output RUN_FOLDER`."""

from src.common.arguments import CommandLineParser
from src.common.errors import run
from src.common.interruption import importing_mindspore


def main() -> None:
    parser = CommandLineParser(description=__doc__)
    parser.add_argument("--input", required=True, metavar="FOLDER",
                        help="a folder that export.py --format huggingface wrote, that transformers saved after such a "
                             "model was trained there, or that holds another Pegasus model")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="the run folder to make")
    parser.add_argument("--like", type=str, default="", metavar="PATH",
                        help="for a model that was trained elsewhere: the exported folder or the run folder that it "
                             "came from, whose vocabulary, text processing and configuration it keeps")
    parser.add_argument("--vocab", type=str, default="", metavar="FILE",
                        help="for another Pegasus model: its persisted vocabulary; default: made of its tokenizer.json")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                        help="override one configuration key of the run; may be repeated")
    args = parser.parse_args()

    with importing_mindspore():
        from src.export.importer import import_model

    print(f"written: {import_model(args.input, args.output, args.like, args.vocab, args.overrides)}")


if __name__ == "__main__":
    run(main)
