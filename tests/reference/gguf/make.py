"""Small seeded GGUF files and what other software reads from them, computes with them and makes of texts with them.

    python make.py [OUT] [blocks|models|tokenizers ...]      OUT defaults to the folder of this script

Blocks of every element type come from `make_blocks.py`, decoders and a BERT from `make_models.py`, vocabularies from
`make_tokenizers.py`. Everything is seeded; made twice on one machine it comes out the same, byte for byte.
See README.md for the files.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import make_blocks
import make_models
import make_tokenizers

PARTS = {"blocks": make_blocks.make, "models": make_models.make, "tokenizers": make_tokenizers.make}


def main(arguments):
    wanted = [name for name in arguments if name in PARTS] or list(PARTS)
    out = next((Path(name) for name in arguments if name not in PARTS), HERE)
    for name in wanted:
        PARTS[name](out)


if __name__ == "__main__":
    main(sys.argv[1:])
