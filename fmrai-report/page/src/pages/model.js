// What was found in the model, and its graph.

/** @param {ReportModel} model */
function layersOf({ structure }) {
    /** @typedef {{ key: Key, self: AttentionBlock[], cross: AttentionBlock[], ffn: FeedForwardBlock[] }} Layer */
    /** @type {Map<number, Layer>} */
    const layers = new Map();
    const at = (/** @type {number} */ layer) => {
        const found = layers.get(layer) ?? { key: `layer ${layer}`, self: [], cross: [], ffn: [] };
        layers.set(layer, found);
        return found;
    };
    structure.attention.forEach((a) => (a.kind === "cross_attention" ? at(a.layer).cross : at(a.layer).self).push(a));
    structure.feed_forward.forEach((f) => at(f.layer).ffn.push(f));
    return [...layers.entries()].sort(([a], [b]) => a - b);
}

/** @param {AttentionBlock} a */
function attentionText(a) {
    const heads = a.key_value_heads === a.heads ? count(a.heads, "head") : `${a.heads} heads on ${a.key_value_heads} of keys and values`;
    const sees = typeof a.visible === "string" && !["all", "full"].includes(a.visible) ? `, ${a.visible.replace("_", " ")}` : typeof a.visible === "object" && a.visible !== null ? ", window" : "";
    return `${a.kind === "cross_attention" ? "cross attention" : "attention"}, ${a.form}, ${heads}${sees}`;
}

/** @param {FeedForwardBlock} f */
function feedForwardText(f) {
    const kind = f.experts ? `${f.experts.count} ${f.gate ? "gated experts" : "experts"}` : f.shared ? "shared expert" : f.gate ? "gated" : "plain";
    const fn = typeof f.function === "string" ? f.function.replace(/_/g, " ") : Object.keys(objectOf(f.function))[0] ?? "";
    return `ffn, ${kind}, ${fn}, ${grouped(f.neurons)} neurons`;
}

/**
 * @param {ReportModel} model
 * @param {string} name
 * @param {boolean} [withGraph]
 */
function modelPage(model, name, withGraph = true) {
    const { structure, coverage } = model;
    const view = withGraph ? graphView(model, name) : null;
    const blocks = new Set(model.graph.operations.block.map((b) => model.graph.texts[b] ?? ""));
    const chip = (/** @type {string} */ text, /** @type {string} */ block, /** @type {string} */ kind) => (view && blocks.has(block) ? h("button", { type: "button", class: `chip ${kind}`, title: "Open it in the graph", onclick: () => view.show(block) }, text) : h("span", { class: `chip ${kind}` }, text));
    const layers = layersOf(model);
    const row = (/** @type {string} */ title, /** @type {Key | null} */ key, /** @type {Child[]} */ ...chips) => h("li", null, key ? h("button", { type: "button", class: "link layer", title: "Pick this layer everywhere", onclick: () => picked.toggle(key) }, title) : h("span", { class: "layer" }, title), ...chips);
    const list = h(
        "ol",
        { class: "layers" },
        structure.embeddings.length > 0 && row("begin", null, ...structure.embeddings.map((e) => chip(`${e.kind.replace(/_/g, " ")} embedding${e.rows ? `, ${grouped(e.rows)} rows` : ""}`, "embedding", "embedding"))),
        layers.map(([layer, { self, cross, ffn }]) => row(`layer ${layer}`, `layer ${layer}`, ...self.map((a) => chip(attentionText(a), `layer ${layer}/attention`, "attention")), ...cross.map((a) => chip(attentionText(a), `layer ${layer}/attention`, "attention")), ...[...new Set(ffn.map(feedForwardText))].map((text) => chip(text, `layer ${layer}/ffn`, "ffn")))),
        structure.unembedding.length > 0 && row("end", null, ...structure.unembedding.map((u) => chip(`${u.vocabulary ? "vocabulary of" : "head,"} ${grouped(u.size)}${u.tied ? ", tied to the embedding" : ""}`, "unembedding", "embedding"))),
    );
    const understood = Object.values(coverage.roles).reduce((a, b) => a + b, 0);
    const share = coverage.operations > 0 ? understood / coverage.operations : 0;
    const bar = h("div", { class: "share", role: "img", "aria-label": `${Math.round(100 * share)} percent understood` }, h("div"));
    const inner = bar.firstElementChild;
    if (inner instanceof HTMLElement) {
        inner.style.width = `${100 * share}%`;
    }
    const streams = new Set(structure.residual.map((r) => r.stream)).size;
    /** @type {Map<string, number>} */
    const norms = new Map();
    for (const { kind, eps } of structure.norms) {
        const named = `${kind.replace(/_/g, " ")} norm${eps === null || eps === undefined ? "" : ` (eps ${eps})`}`;
        norms.set(named, (norms.get(named) ?? 0) + 1);
    }
    const left = Object.entries(coverage.left_over).sort((a, b) => b[1] - a[1]);
    return [
        section(
            "What was found",
            layers.length > 0 || structure.embeddings.length > 0 ? list : h("p", null, "No attention, feed-forward block or embedding was found in the graph."),
            fields([
                ["residual stream", streams === 0 ? "none" : `${count(structure.residual.length, "addition")} in ${count(streams, "stream")}`],
                ["norms", [...norms].map(([kind, n]) => `${n} × ${kind}`).join(", ") || "none"],
                ["weights in the graph", grouped(model.parameters)],
            ]),
            h("h3", null, "How much was understood"),
            bar,
            h("p", null, `${grouped(understood)} of ${count(coverage.operations, "operation")}: ${Object.entries(coverage.roles).map(([role, n]) => `${role.replace(/_/g, " ")} ${n}`).join(", ") || "none"}.`),
            left.length > 0 && h("p", { class: "quiet" }, `Left over: ${left.slice(0, 12).map(([op, n]) => `${n} ${op}`).join(", ")}${left.length > 12 ? ` and ${left.length - 12} other kinds` : ""}.`),
        ),
        view && section("Graph", view.element),
    ];
}
