"""Models for benches/programs.rs and benches/keeping.rs: NAME.pt2 (torch.export), and NAME.pt (torch.jit.trace) of the first three.

`tiny` is so small that the cost of an operation is all that counts; `minilm` is the model of the demo; `large` has 100 MB of
weights; `gpt2` and `resnet` have the sizes of GPT-2 small and ResNet-18, and random weights. Usage: python make_programs.py MODEL_FOLDER OUTPUT_FOLDER, where MODEL_FOLDER
holds the checkpoint of the demo.
"""

import sys
import warnings
from pathlib import Path

import torch
from torch.export import Dim
from transformers import AutoModel, BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, ResNetConfig, ResNetForImageClassification

warnings.filterwarnings("ignore")


class Logits(torch.nn.Module):
    """A model whose one output is its logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(self, **inputs):
        return self.model(**inputs).logits


def save(folder, name, model, traces=True):
    model = model.eval()
    ids = torch.randint(0, model.config.vocab_size, (8, 64))
    mask = torch.ones_like(ids)
    batch, token = Dim("batch", min=1, max=1024), Dim("token", min=1, max=512)
    shapes = {"input_ids": {0: batch, 1: token}, "attention_mask": {0: batch, 1: token}}
    if not traces:
        shapes = {"inputs": shapes}
    inputs = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        program = torch.export.export(model, (), inputs, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, folder / f"{name}.pt2")
        if traces:
            traced = torch.jit.trace(model, (ids, mask), strict=False)
            torch.jit.save(traced, folder / f"{name}.pt")


def save_vision(folder, name, model):
    inputs = {"pixel_values": torch.randn(8, 3, 224, 224)}
    with torch.no_grad():
        shapes = {"inputs": {"pixel_values": {0: Dim("batch", min=1, max=1024)}}}
        program = torch.export.export(model.eval(), (), inputs, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, folder / f"{name}.pt2")


def main():
    checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tiny = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=12, num_attention_heads=2, intermediate_size=16,
        attn_implementation="sdpa",
    )
    save(folder, "tiny", BertModel(tiny))
    save(folder, "minilm", AutoModel.from_pretrained(checkpoint, attn_implementation="sdpa"))
    large = BertConfig(
        vocab_size=5000, hidden_size=512, num_hidden_layers=7, num_attention_heads=8, intermediate_size=2048,
        attn_implementation="sdpa",
    )
    save(folder, "large", BertModel(large))
    save(folder, "gpt2", Logits(GPT2LMHeadModel(GPT2Config(use_cache=False))), traces=False)
    basic = ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512])
    save_vision(folder, "resnet", Logits(ResNetForImageClassification(basic)))


if __name__ == "__main__":
    main()
