"""Answer and score a test set: `python eval.py --config FILE --vocab FILE --output FILE --metric rouge`."""
import argparse

from config import load_config
from src.utils.arguments import HelpFormatter
from src.utils.errors import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--config", required=True, metavar="FILE", help="configuration file (JSON)")
    parser.add_argument("--vocab", required=True, metavar="FILE", help="persisted vocabulary (all_en.dict.bin)")
    parser.add_argument("--output", required=True, metavar="FILE",
                        help="answers as JSON lines; a readable .txt and metrics.json are written beside it")
    parser.add_argument("--metric", choices=("rouge", "ppl"), default="rouge",
                        help="rouge searches answers, ppl scores the given targets")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="node.key=value",
                        help="override one configuration key; may be repeated")
    args = parser.parse_args()
    config = load_config(args.config, args.overrides)

    from src.inference.evaluation import evaluate  # MindSpore takes seconds to import

    metrics = evaluate(config, args.vocab, args.output, args.metric)
    print(f"{metrics['sentences']} sentences, checkpoint {metrics['checkpoint']}")
    for name, value in metrics[args.metric].items():
        print(f"{args.metric} {name}: {value:.2f}")
    if "signature" in metrics:
        print(f"signature: {metrics['signature']}")
    print(f"written: {args.output}")


if __name__ == "__main__":
    run(main)
