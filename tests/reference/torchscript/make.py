"""Small TorchScript modules with what PyTorch computes for them.

Writes NAME.pt (torch.jit.save) and NAME.safetensors: `c0.in.NN.NAME` in the order of forward's parameters and `c0.out.NN` in the
order of its results. `c1` has other sizes. Usage: python make.py [FOLDER]
"""

import sys
import warnings
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import safetensors.torch
import torch
import transformers
from transformers import BertConfig, BertModel

SEED = 20261
warnings.filterwarnings("ignore", category=DeprecationWarning)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.activation = torch.nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.linear(x)) + x


class Scripted(torch.nn.Module):
    """Control flow, an optional input, a number, a dictionary with a tuple in it."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Block(), Block()])
        self.register_buffer("scale", torch.full((4,), 2.0))

    def forward(
        self, x: torch.Tensor, times: int, bias: Optional[torch.Tensor] = None
    ) -> Dict[str, Tuple[torch.Tensor, torch.Tensor]]:
        for layer in self.layers:
            x = layer(x)
        for _ in range(times):
            x = x * self.scale
        if bias is not None:
            x = x + bias
        return {"pair": (x, x.mean())}


class Fields(NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


class Named(torch.nn.Module):
    """A named tuple as the result, and a buffer that is written in place."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> Fields:
        hidden = torch.relu(x)
        hidden.add_(1.0)
        return Fields(self.head(hidden), hidden)


class Fixed(torch.nn.Module):
    """What tracing makes of sizes that Python has read: they stay those of the example."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).view(int(x.shape[0]), -1)


class Words(torch.nn.Module):
    """Two tables read by the same ids, and one that is read by a part of other ids."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(11, 4, padding_idx=0)
        self.short = torch.nn.Embedding(9, 4)

    def forward(self, input_ids: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return self.words(input_ids) + self.short(input_ids.long()) + self.words(others[:, 1:])


def save(folder, name, module, cases):
    torch.jit.save(module, folder / f"{name}.pt")
    tensors = {}
    with torch.no_grad():
        for number, arguments in enumerate(cases):
            results = module(*arguments.values())
            flat = torch.utils._pytree.tree_leaves(results)
            for position, (key, value) in enumerate(arguments.items()):
                value = value if isinstance(value, torch.Tensor) else torch.tensor(value)
                tensors[f"c{number}.in.{position:02}.{key}"] = value.clone()
            for position, value in enumerate(flat):
                tensors[f"c{number}.out.{position:02}"] = value.contiguous().clone()
    metadata = {
        "script": "tests/reference/torchscript/make.py",
        "seed": str(SEED),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    safetensors.torch.save_file(tensors, folder / f"{name}.safetensors", metadata)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)

    scripted = torch.jit.script(Scripted().eval())
    x = [torch.randn(2, 4), torch.randn(5, 4)]
    save(folder, "scripted", scripted, [{"x": x[0], "times": 2}, {"x": x[1], "times": 2}])
    save(folder, "named", torch.jit.script(Named().eval()), [{"x": x[0]}, {"x": x[1]}])

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        max_position_embeddings=32,
    )
    for form in ["eager", "sdpa"]:
        config._attn_implementation = form
        bert = BertModel(config).eval()
        ids = [torch.randint(50, (2, 7)), torch.randint(50, (3, 5))]
        masks = [torch.ones_like(one) for one in ids]
        masks[0][1, 4:] = 0
        with torch.no_grad():
            traced = torch.jit.trace(bert, (ids[0], masks[0]), strict=False)
        cases = [{"input_ids": i, "attention_mask": m} for i, m in zip(ids, masks)]
        save(folder, f"traced_bert_{form}", traced, cases)

    fixed = Fixed().eval()
    one = torch.randn(1, 3, 4)
    save(folder, "fixed", torch.jit.trace(fixed, one, check_trace=False), [{"x": one}])

    ids = torch.randint(9, (2, 3))
    save(folder, "words", torch.jit.script(Words().eval()), [{"input_ids": ids, "others": torch.randint(11, (2, 4))}])

    torch.backends.mha.set_fastpath_enabled(True)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    src = torch.randn(2, 3, 8)
    with torch.no_grad():
        fast = torch.jit.trace(encoder, src)
        save(folder, "fast_path", fast, [{"src": src}])


if __name__ == "__main__":
    main()
