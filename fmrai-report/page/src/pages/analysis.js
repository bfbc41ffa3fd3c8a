// What one analysis has found.

/** @param {Analysis} analysis */
function analysisPage(analysis) {
    const { summary, config } = analysis;
    const figures = analysis.figures ?? [];
    const tables = analysis.tables ?? [];
    const tensors = analysis.tensors ?? [];
    const isAttention = tensors.some((t) => t.name.startsWith("attention.") && t.axes.join() === "layer,head,query,key");
    const rows = fieldsOf(summary).filter(([name]) => !name.startsWith("warnings"));
    const status = analysis.status === "failed" ? notice(`failed in ${analysis.error?.stage ?? "an unknown stage"}: ${analysis.error?.message ?? ""}`, "error") : analysis.status === "unfinished" ? notice("The run has not ended: this is what was written so far.", "note") : null;
    return [
        status,
        warningsOf(analysis).map((text) => notice(text, "warning")),
        isAttention && section("Attention", attentionView(analysis)),
        (analysis.answers ?? []).map(answerView),
        figures.length > 0 && section("Figures", h("div", { class: "figures" }, figures.map((figure) => figureView(figure, `figure-${figure.name}`)))),
        rows.length > 0 && section("Answer", fields(rows)),
        tables.length > 0 && section("Tables", tables.map(({ table, rows }, i) => h("details", { class: "fold", open: i === 0 }, h("summary", null, table.name, h("span", { class: "quiet" }, ` ${count(rows, "row")}`)), lazily(() => tableView(cellsOf(table), { name: table.name, rows }))))),
        tensors.length > 0 && section("Tensors", h("p", { class: "quiet" }, `In ${analysis.name}/tensors.safetensors.`), tableView(cellsOfRows(["name", "axes", "shape", "type", "unit"], tensors.map((t) => [t.name, t.axes.join(", "), shapeText(t.shape), t.dtype, t.unit ?? ""])), { name: "tensors", rows: tensors.length, height: 240 })),
        Object.keys(config).length > 0 && section("Settings", h("details", { class: "fold" }, h("summary", null, "all fields of the plan"), codeBlock(JSON.stringify({ type: analysis.type, name: analysis.name, ...config }, null, 2), `${analysis.name}.json`))),
        figures.length + tables.length + tensors.length + (analysis.answers ?? []).length === 0 && analysis.status === "ok" && h("p", { class: "quiet" }, "This analysis has left an answer alone, no figure or table."),
    ];
}

/**
 * What is made when it is first seen.
 * @param {() => Node} make
 */
function lazily(make) {
    const place = h("div", { class: "lazy" });
    const seen = new IntersectionObserver((entries) => {
        if (entries.some((e) => e.isIntersecting)) {
            seen.disconnect();
            place.replaceChildren(make());
        }
    });
    seen.observe(place);
    return place;
}
