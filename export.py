"""Export a trained model: `python export.py --ckpt DIR --format huggingface --output FOLDER`."""
import argparse

from config.loading import load_config
from src.checkpoints.find import find_model
from src.common.arguments import CommandLineParser
from src.common.errors import run
from src.common.interruption import importing_mindspore
from src.export.options import ExportOptions
from src.export.registry import FORMATS, QUANTIZATIONS
from src.inference.text_flags import add_text_flags, find_text, text_flags


def main() -> None:
    parser = CommandLineParser(description=__doc__)
    parser.add_argument("--ckpt", required=True, metavar="PATH", help="weights, or a folder of checkpoints, of which "
                        "best.safetensors is used, or else latest.safetensors")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS), help="the format to export to")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="folder for the exported model")
    parser.add_argument("--vocab", metavar="FILE", help="persisted vocabulary; default: that of the checkpoint")
    parser.add_argument("--config", metavar="FILE", help="configuration of the model; default: that of the checkpoint, "
                        "which weights of other programs do not have")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                        help="override one configuration key, for example model_config.beam_width=8, for the "
                             "generation settings of the exported model; may be repeated")
    parser.add_argument("--quantize", type=str, choices=QUANTIZATIONS, default="",
                        help="store matrices in fewer bits, if the format can")
    parser.add_argument("--verify", action=argparse.BooleanOptionalAction, default=True,
                        help="load the exported model in its runtime and compare it with eval.py before it is kept")
    parser.add_argument("--sentences", type=str, default="", metavar="FILE",
                        help="raw text, one sentence per line, for the verification; default: sentences of words that "
                             "are drawn from the vocabulary")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that was exported to the folder")
    add_text_flags(parser)
    args = parser.parse_args()

    options = ExportOptions(args.format, args.output, args.quantize, args.verify, args.sentences, args.overwrite)
    options.check()
    FORMATS[args.format].require_quantization(args.quantize)
    FORMATS[args.format].require_packages(args.verify, args.quantize)
    config = load_config(args.config, args.overrides) if args.config else None
    files = find_model(config, args.ckpt, args.vocab, args.overrides)
    text = find_text(files, text_flags(args))

    with importing_mindspore():  # takes seconds, so the checks come first
        from src.export.exporter import export_model

    verification = export_model(files, text, options)
    if verification:
        print("\n".join(verification.lines()))
    print(f"written: {args.output}")


if __name__ == "__main__":
    run(main)
