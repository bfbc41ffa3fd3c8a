"""Saves a model of transformers as an exported program, the .pt2 archive that fMRAi runs without Python.

    python export.py MODEL OUTPUT.pt2 [--attention eager|sdpa] [--class NAME] [--decomposed]

MODEL is a folder with a checkpoint, or a config.json alone: the weights are then random, which is enough to look at a graph.
Tried with torch 2.9.1, 2.13.0 and 2.15.0 and transformers 5.23.0; fMRAi reads the archives of torch 2.9 and newer.
"""

import argparse
import inspect
from pathlib import Path

import torch
import transformers
from torch.export import Dim


def load(path, attention, name):
    """The model in evaluation mode: dropout would otherwise be part of the program.

    `eager` spells attention out; with `sdpa` it is one operation. Its probabilities can be captured either way.
    """
    config = transformers.AutoConfig.from_pretrained(path)
    name = name or (config.architectures or ["AutoModel"])[0]
    kind = getattr(transformers, name)
    config.use_cache = False  # keys and values of earlier tokens are no results of interest
    if Path(path).is_file():
        build = kind.from_config if name.startswith("Auto") else kind._from_config
        return build(config, attn_implementation=attention).eval()
    return kind.from_pretrained(path, config=config, attn_implementation=attention, local_files_only=True).eval()


def example(model):
    """Inputs to export with, and which of their axes may have another length later.

    Lengths of the example are arbitrary, but neither 0 nor 1, and no two alike. `Dim.AUTO` leaves it to torch to find out what
    may change: an axis that the model fixes (an image, the states of Mamba) stays fixed, silently; fMRAi then says so.
    """
    batch, length = 2, 7
    takes = inspect.signature(model.forward).parameters
    inputs, axes = {}, {}
    vision = getattr(model.config, "vision_config", model.config)
    if "pixel_values" in takes:
        side = vision.image_size if isinstance(getattr(vision, "image_size", None), int) else 224
        inputs["pixel_values"] = torch.randn(batch, getattr(vision, "num_channels", 3), side, side)
        axes["pixel_values"] = {0: Dim.AUTO}
    if "input_ids" in takes:
        tokens = torch.randint(model.config.get_text_config().vocab_size, (batch, length))
        inputs |= {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        axes |= {"input_ids": {0: Dim.AUTO, 1: Dim.AUTO}, "attention_mask": {0: Dim.AUTO, 1: Dim.AUTO}}
    if "decoder_input_ids" in takes:
        inputs["decoder_input_ids"] = torch.randint(model.config.vocab_size, (batch, 5))
        axes["decoder_input_ids"] = {0: Dim.AUTO, 1: Dim.AUTO}
    return {name: inputs[name] for name in inputs if name in takes}, {name: axes[name] for name in axes if name in takes}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("output", type=Path)
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--class", dest="name", help="class of transformers, by default the one that the config names")
    parser.add_argument("--decomposed", action="store_true", help="only basic operations, without any that write in place")
    options = parser.parse_args()

    # The lines that matter.
    model = load(options.model, options.attention, options.name)
    inputs, axes = example(model)
    with torch.no_grad():  # or every rotary embedding becomes a region of its own
        program = torch.export.export(model, (), inputs, dynamic_shapes=axes, strict=False)
    if options.decomposed:
        program = program.run_decompositions()
    torch.export.save(program, options.output)

    # fMRAi looks for tokenizer.json beside the archive.
    if Path(options.model).is_dir() and (Path(options.model) / "tokenizer.json").exists():
        transformers.AutoTokenizer.from_pretrained(options.model).save_pretrained(options.output.parent)
    print(f"{options.output}: {sum(1 for _ in program.graph.nodes)} nodes")


if __name__ == "__main__":
    main()
