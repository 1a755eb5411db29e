"""Answer and score with a trained model.

  a test set     python eval.py --config FILE --vocab FILE --output answers.jsonl --metric rouge
  a text file    python eval.py --ckpt DIR --input articles.txt --output headlines.txt
  a stream       producer | python eval.py --ckpt DIR --input - | consumer
  a conversation python eval.py --ckpt DIR --interactive --turns 2
"""
import argparse

from src.inference.command_line import add_flags, carry_out
from src.utils.arguments import HelpFormatter
from src.utils.errors import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_flags(parser)
    carry_out(parser.parse_args())


if __name__ == "__main__":
    run(main)
