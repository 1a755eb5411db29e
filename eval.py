"""Generate text and compute scores with a trained model.

  a test set     python eval.py --config FILE --vocab FILE --output predictions.jsonl --metric rouge
  a text file    python eval.py --ckpt DIR --input articles.txt --output headlines.txt
  a stream       producer | python eval.py --ckpt DIR --input - | consumer
  a conversation python eval.py --ckpt DIR --interactive --turns 2
"""

from src.common.arguments import CommandLineParser
from src.common.errors import run
from src.inference.command_line import add_flags, run_evaluation


def main() -> None:
    parser = CommandLineParser(description=__doc__)
    add_flags(parser)
    run_evaluation(parser.parse_args())


if __name__ == "__main__":
    run(main)
