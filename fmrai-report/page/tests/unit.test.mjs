// What needs no browser.

import assert from "node:assert/strict";
import test from "node:test";
import { files, names, present } from "./script.mjs";

const all = names(["keyOfLabel", "keyOnAxis", "joinedKey", "picks", "ticks", "short", "grouped", "readAddress", "writeAddress", "toCsv", "half", "keeps", "layered", "apart", "zoomed", "moved", "num", "orderOf", "fieldsOf", "parityOf", "treeOf", "GraphModel", "groupsBelow", "elements", "attentionMatrix", "tabulated", "cardsOf"]);
const plain = (value) => JSON.parse(JSON.stringify(value));

test("every file is part of the page, once", () => {
    assert.deepEqual([...files()].sort(), [...present()].sort());
});

test("labels of any analyzer say what they stand for", () => {
    assert.equal(all.keyOfLabel("L3H5"), "layer 3 head 5");
    assert.equal(all.keyOfLabel("layer 3, neuron 1040"), "layer 3 neuron 1040");
    assert.equal(all.keyOfLabel("a0.h1"), "layer 0 head 1");
    assert.equal(all.keyOfLabel("noun"), null);
    assert.equal(all.keyOnAxis("layer", "3"), "layer 3");
    assert.equal(all.keyOnAxis("reading layer", "3"), "layer 3");
    assert.equal(all.keyOnAxis("strength", "3"), null);
    assert.equal(all.joinedKey("layer 3", "head 5"), "layer 3 head 5");
    assert.equal(all.joinedKey("layer 1 head 2", "layer 3 head 4"), null);
    assert.equal(all.joinedKey(null, "head 5"), null);
    assert.ok(all.picks("layer 3", "layer 3 head 5") && all.picks("layer 3", "layer 3"));
    assert.ok(!all.picks("layer 3", "layer 31") && !all.picks("layer 3 head 5", "layer 3"));
});

test("numbers are short, and never without their sign", () => {
    assert.deepEqual([0, 0.230_491_3, 1234, -0.5, 1e-9, NaN, Infinity].map((x) => all.short(x)), ["0", "0.2305", "1234", "−0.5", "1.000e-9", "none", "∞"]);
    assert.equal(all.grouped(1_234_567), "1,234,567");
    assert.deepEqual(["inf", "-inf", null, 3].map((x) => String(all.num(x))), ["Infinity", "-Infinity", "NaN", "3"]);
});

test("ticks are round and within the range", () => {
    assert.deepEqual(plain(all.ticks(0, 1, 5, false)), [0, 0.2, 0.4, 0.6, 0.8, 1]);
    assert.deepEqual(plain(all.ticks(0, 3, 10, true)), [0, 1, 2, 3]);
    assert.deepEqual(plain(all.ticks(-0.3, 0.3, 3, false)), [-0.2, 0, 0.2]);
    assert.deepEqual(plain(all.ticks(1, 1, 3, false)), [1]);
});

test("an address comes back as it was, and a broken one does no harm", () => {
    const query = new Map([["pick", "layer 3 head 5,layer 1"], ["cards", "a&b=c?/#"]]);
    const written = all.writeAddress({ path: ["analysis", "a/b c"], query });
    const read = all.readAddress(written);
    assert.deepEqual(plain(read.path), ["analysis", "a/b c"]);
    assert.deepEqual(plain([...read.query]), [...query]);
    assert.deepEqual(plain(all.readAddress("#/model?x=%E0%A4%A").path), ["model"]);
    assert.deepEqual(plain(all.readAddress("").path), []);
});

test("CSV quotes what has to be quoted", () => {
    assert.equal(all.toCsv(["a", "b"], [['x"y', 1], ["l\nm", NaN]]), 'a,b\r\n"x""y",1\r\n"l\nm",\r\n');
});

test("floats of two bytes", () => {
    assert.deepEqual([0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x0000].map((bits) => all.half(bits)), [1, -2, 2 ** -24, 65504, Infinity, 0]);
    assert.ok(Number.isNaN(all.half(0x7e00)));
    const data = Buffer.from(new Uint16Array([0x3c00, 0x3800]).buffer).toString("base64");
    assert.deepEqual([...all.elements({ data, encoding: "float16" })], [1, 0.5]);
});

test("filters take words and comparisons", () => {
    const columns = [
        { name: "token", unit: null, numeric: false, values: ["dog", "cat", "dog"] },
        { name: "entropy", unit: "nats", numeric: true, values: [1, 2, 3] },
    ];
    const kept = (filter) => [0, 1, 2].filter(all.keeps(columns, filter));
    assert.deepEqual(kept("dog"), [0, 2]);
    assert.deepEqual(kept("dog entropy > 1"), [2]);
    assert.deepEqual(kept("entropy>=2"), [1, 2]);
    assert.deepEqual(kept("token = cat"), [1]);
    assert.deepEqual(kept("nothing > 1"), [], "what names no column is words");
    assert.deepEqual(kept(""), [0, 1, 2]);
});

test("boxes stand below what they take, and do not overlap", () => {
    const boxes = [40, 60, 30, 50, 40].map((width) => ({ width, height: 20 }));
    const edges = [[0, 1], [0, 2], [1, 3], [2, 3], [3, 4], [0, 4], [4, 1]].map(([from, to]) => ({ from, to }));
    const { places, routes } = all.layered(boxes, edges);
    edges.filter(({ from, to }) => from < to).forEach(({ from, to }) => assert.ok(places[to][1] > places[from][1] + 20));
    assert.ok(places[1][0] + 60 <= places[2][0] || places[2][0] + 30 <= places[1][0]);
    assert.equal(routes.length, edges.length);
    assert.deepEqual(plain(all.apart([0, 1, 2], [50, 50, 50], [10, 10, 10])), [26, 50, 74]);
});

test("zooming and moving stay within the figure", () => {
    assert.deepEqual(plain(all.zoomed([0, 0, 1, 1], 2, 0.5, 0.5, true)), [0, 0, 1, 1]);
    assert.deepEqual(plain(all.zoomed([0, 0, 1, 1], 0.5, 0, 0, true)), [0, 0, 0.5, 0.5]);
    assert.deepEqual(plain(all.moved([0, 0, 0.5, 0.5], 9, -9)), [0.5, 0, 1, 0.5]);
});

test("sorting puts what is missing last", () => {
    const values = [1, NaN, 3];
    assert.deepEqual(plain(all.orderOf(3, (i) => values[i], true)), [2, 0, 1]);
});

test("a graph of many operations is put into parts, and chains of modules are one", () => {
    const n = 1000;
    const texts = ["", "aten::add", "encoder.layer", "float32", "operation"];
    const column = (value) => Array.from({ length: n }, () => value);
    const graph = {
        fingerprint: "x",
        texts,
        operations: { name: column(1), module: column(2), block: column(0), source: column(0), role: column(0), constants: column(0), inputs: Array.from({ length: n }, (_, i) => [i]), outputs: Array.from({ length: n }, (_, i) => [i + 1]), views: [] },
        tensors: { name: Array(n + 1).fill(0), dtype: Array(n + 1).fill(3), shape: Array.from({ length: n + 1 }, () => [2, 3]), origin: Array(n + 1).fill(4) },
    };
    const tree = all.treeOf(new all.GraphModel(graph), "module");
    assert.equal(tree.operations, n);
    const [only] = tree.children;
    assert.equal(only.name, "encoder.layer");
    all.groupsBelow(tree).forEach((group) => assert.ok(group.children.length <= 120, `${group.name}: ${group.children.length}`));
});

test("attention is averaged over the heads that there are", () => {
    const text = { id: "0", tokens: ["a", "b"], layers: 1, heads: 2, n: 2, all: new Float32Array([1, 0, 0.5, 0.5, NaN, NaN, NaN, NaN]) };
    assert.deepEqual([...all.attentionMatrix(text, 0, -1)], [1, 0, 0.5, 0.5]);
    assert.deepEqual([...all.attentionMatrix(text, 0, 0)], [1, 0, 0.5, 0.5]);
});

test("what is told of parity is plain", () => {
    assert.deepEqual(plain(all.parityOf({ parity: { agrees: false, batches: 2, outputs: { a: { max_abs_difference: 0.5 } } } })), ["The watched model gave OTHER outputs than the untouched one (2 batches, largest difference 0.5): do not rely on these results.", "error"]);
    assert.equal(all.parityOf({ parity: null })[1], "note");
});

test("fields of a summary are told with their path", () => {
    assert.deepEqual(plain(all.fieldsOf({ map: { stress: 0.5, list: [1, 2] }, none: null })), [["map · stress", "0.5"], ["map · list", "1, 2"], ["none", "–"]]);
});

test("cards that are no JSON are empty, not an error", () => {
    const row = { title: "layer 1, neuron 2", layer: 1, details: "broken", passages: '[{"tokens": [["a", 1], ["b", null]], "marked": 0}]' };
    const [card] = all.cardsOf({ heading: "", form: "cards", columns: [], rows: [row], cut: false });
    assert.deepEqual(plain(card.details), []);
    assert.equal(card.passages[0].tokens.length, 2);
    assert.equal(card.numbers.get("layer"), 1);
});
