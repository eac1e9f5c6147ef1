"""Write a model that is published as pickled weights as safetensors, which fedhds loads.

    python scripts/to_safetensors.py openlm-research/open_llama_3b models/open-llama-3b

torch reads the pickles with ``weights_only``, so nothing in them is run. A model whose
tokenizer is a ``tokenizer.model`` alone also needs ``pip install sentencepiece protobuf``;
what is written needs neither.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(source: str, out: Path, revision: str | None = None) -> None:
    """Load model and tokenizer from a folder or the hub and save both, the dtype kept."""
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    model, found = AutoModelForCausalLM.from_pretrained(
        source, revision=revision, dtype="auto", use_safetensors=False, output_loading_info=True
    )
    if missing := sorted(found["missing_keys"]):  # transformers has drawn them at random
        raise SystemExit(f"'{source}' has no weights for {missing[0]} of its own model")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a folder or a hub id")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--revision", help="a commit, branch or tag of the hub")
    options = parser.parse_args()
    try:
        convert(options.source, options.out, options.revision)
    except (OSError, ValueError) as error:
        raise SystemExit(f"'{options.source}' cannot be converted: {error}") from error


if __name__ == "__main__":
    main()
