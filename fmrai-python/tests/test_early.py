"""The examples of the early package's page, as they stand there."""

from __future__ import annotations

import pytest
import torch
import transformers

from conftest import bert, gpt2, seeded


def gpt1():
    config = transformers.OpenAIGPTConfig(vocab_size=90, n_positions=40, n_embd=32, n_layer=3, n_head=4)
    return seeded(lambda: transformers.OpenAIGPTModel(config))


def minilm():
    """The shape of MiniLM."""
    config = transformers.BertConfig(
        vocab_size=90, hidden_size=48, num_hidden_layers=6, num_attention_heads=12, intermediate_size=96, max_position_embeddings=40
    )
    return seeded(lambda: transformers.BertModel(config))


MODELS = {"bert": bert, "gpt1": gpt1, "gpt2": gpt2, "minilm": minilm}


@pytest.fixture(params=MODELS)
def model(request):
    made = MODELS[request.param]()
    if request.param != "gpt1":
        made.resize_token_embeddings(90)
    return made


def test_the_graph(model, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from fmrai.instrument import instrument_model
    from fmrai import fmrai

    with fmrai() as fmr:
        m = instrument_model(model)

        with fmr.track() as tracker:
            with torch.no_grad():
                m(**tokenizer("Hello World", return_tensors="pt"))
                g = tracker.build_graph()

        g.save_dot("graph.dot")
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")

    from fmrai.analysis.structure import find_multi_head_attention

    attention = list(find_multi_head_attention(g))
    assert len(attention) == model.config.num_hidden_layers

    with fmr.track() as tracker:
        with torch.no_grad():
            m(**tokenizer("the cat sat on a mat", return_tensors="pt"))
            computation = tracker.build_map()

    # get attention tensors (softmax result) from first layer (index 0)
    attention_tensors = computation.get(
        attention[0].softmax_value.tensor_id
    )
    heads = model.config.num_attention_heads
    assert attention_tensors.shape == (1, heads, 8, 8)
    assert torch.allclose(attention_tensors.sum(-1), torch.ones(1, heads, 8))


def test_clustering(model, tokenizer, tmp_path):
    import fmrai
    from fmrai.analysis.attention import AttentionHeadClusterAnalyzer
    from fmrai.instrument import instrument_model

    class Batch(dict):
        def to(self, _):
            return self

    texts = ["the cat sat on a mat", "the dog ran to it", "it saw the cat", "a dog"]
    loader = [Batch(tokenizer(texts[i : i + 2], return_tensors="pt", padding=True)) for i in (0, 2)]

    with fmrai.fmrai():
        with torch.no_grad():
            m = instrument_model(model)

            first_batch = next(iter(loader))
            m(**first_batch.to(model.device))

            analyzer = AttentionHeadClusterAnalyzer()
            for batch in loader:
                with analyzer.track_batch():
                    m(**batch)

            # analyze and plot attention heads!
            figure = analyzer.analyze().plot(figsize=(16, 16))
    matplotlib = pytest.importorskip("matplotlib.figure")
    assert isinstance(figure, matplotlib.Figure) and tuple(figure.get_size_inches()) == (16, 16)
