"""What notebooks show, and the example notebook."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import fmrai
from conftest import bert, gpt2

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
TEXTS = ["the cat sat on a mat", "the dog ran to it"]


def inside(shown: str) -> tuple[list[str] | None, dict]:
    """The address and the document of a frame."""
    caption, frame = shown.split("</div>", 1)
    assert caption.startswith("<div ") and caption.count("<") == 1
    assert frame.startswith("<iframe ") and frame.endswith("</iframe>") and frame.split("srcdoc")[1].count('"') == 4
    assert 'sandbox="allow-scripts allow-downloads"' in shown
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])
    assert "default-src 'none'" in page and not re.search(r"(src|href)=\"?https?:", page)
    packed = re.search(r'<script id="data"[^>]*>([^<]*)<', page)[1]
    only = re.search(r'<html lang="en" data-only="([^"]*)">', page)
    document = json.loads(gzip.decompress(base64.b64decode(packed)))
    return json.loads(html.unescape(only[1])) if only else None, document


def test_graph_and_structure(ids):
    with fmrai.track(gpt2()) as t, torch.no_grad():
        assert t._repr_html_() is None, "no pass yet"
        t._model(ids)
    for shown, page in ((t.graph, "model"), (t.structure, "structure"), (t, "model")):
        only, document = inside(shown._repr_html_())
        assert only == [page]
        assert len(document["model"]["structure"]["attention"]) == 3
        assert len(document["model"]["graph"]["operations"]["name"]) == len(t.graph)


def test_reports_live_and_stored(tokenizer, tmp_path):
    model = gpt2()
    model.resize_token_embeddings(len(tokenizer))
    outcome = fmrai.run(model, TEXTS, [fmrai.AttentionPatterns(), fmrai.LogitLens()], tokenizer=tokenizer, output=tmp_path / "run")
    report = outcome["attention_patterns"]
    only, document = inside(report._repr_html_())
    assert only == ["analysis", "attention_patterns"] and document["analyses"][0]["summary"] == report.summary
    only, document = inside(outcome._repr_html_())
    assert only is None and [a["name"] for a in document["analyses"]] == ["attention_patterns", "logit_lens"]
    assert document["run"]["parity"]["agrees"] is True
    stored = fmrai.load(tmp_path / "run")
    only, document = inside(stored["logit_lens"]._repr_html_())
    assert only == ["analysis", "logit_lens"]
    assert inside(stored._repr_html_())[0] is None


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_of_a_text(attention, tokenizer):
    model = bert(attention)
    model.resize_token_embeddings(len(tokenizer))
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    with fmrai.track(model) as t, torch.no_grad():
        model(**batch)
    report = t.attention(tokenizer, sample=1)
    n = int(batch["attention_mask"][1].sum())
    assert list(report.tables["tokens"]["shown"]) == ["[CLS]", "the", "dog", "ran", "to", "it", "[SEP]"] and n == 7
    found = report.tensors["attention.0"]
    expected = torch.stack([t[f"attention[{layer}].probabilities"][1, :, :n, :n] for layer in range(3)])
    assert found.shape == (3, 4, n, n) and np.array_equal(found, expected.numpy())
    only, document = inside(report._repr_html_())
    assert only == ["analysis", "attention"]
    assert document["analyses"][0]["tensors"][0]["encoding"] == "float16"
    assert list(t.attention().tables["tokens"]["shown"])[:2] == ["0", "1"]
    assert list(t.attention([str(i) for i in range(7)], sample=1).tables["tokens"]["shown"])[6] == "6"
    with pytest.raises(fmrai.TrackingError, match="3 tokens were given for a text of 7"):
        t.attention(["a", "b", "c"], sample=1)
    with pytest.raises(fmrai.TrackingError, match="the batch has 2 rows, there is no row 5"):
        t.attention(sample=5)
    with pytest.raises(fmrai.TrackingError, match="no self-attention in decoder"):
        t.attention(module="decoder")


def test_attention_that_is_not_to_be_had(ids):
    model = gpt2()
    with fmrai.track(model, history=None) as t:
        model.generate(ids[:1], max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert t.passes[0].attention().tensors["attention.0"].shape == (3, 4, 11, 11)
    with pytest.raises(fmrai.TrackingError, match="queries of this pass are 1 and its keys 13"):
        t.attention()
    with fmrai.track(model, None) as t, torch.no_grad():
        model(ids)
    with pytest.raises(fmrai.TrackingError, match="was not kept"):
        t.attention()
    with fmrai.track(torch.nn.Linear(3, 3)) as t:
        t(torch.ones(2, 3))
    with pytest.raises(fmrai.TrackingError, match="no self-attention"):
        t.attention()


def notebooks():
    return sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    for cell in code:
        assert not cell.outputs and cell.execution_count is None, "outputs are not kept in the repository"
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    nbformat.write(notebook, tmp_path / path.name)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    told = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    # tqdm says so when transformers is imported.
    assert all("IProgress not found" in text for text in told), told
    frames = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {}) and "<iframe" in output.data["text/html"]]
    assert len(frames) >= 3
    for frame in frames:
        inside(frame)


def test_there_are_notebooks():
    assert [path.name for path in notebooks()] == ["first_look.ipynb"]
