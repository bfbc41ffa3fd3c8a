// What was run on what, and whether it can be trusted.

/**
 * Parity as a plain statement.
 * @param {{ [name: string]: Json }} run
 * @returns {[string, "good" | "error" | "note"]}
 */
function parityOf(run) {
    const parity = run["parity"];
    if (parity === null || parity === undefined || typeof parity !== "object" || Array.isArray(parity)) {
        return ["The outputs were not compared with those of the untouched model.", "note"];
    }
    const told = parity["outputs"] ?? null;
    const outputs = (Array.isArray(told) ? told : Object.values(objectOf(told))).map(objectOf);
    const differences = (outputs.length > 0 ? outputs : [parity]).map((o) => num(/** @type {Num} */ (o["max_abs_difference"] ?? null))).filter((x) => !Number.isNaN(x));
    const largest = differences.length > 0 ? `, largest difference ${short(Math.max(...differences), 2)}` : "";
    const batches = count(num(/** @type {Num} */ (parity["batches"] ?? 0)), "batch").replace("batchs", "batches");
    if (run["parity_of"] === "recording") {
        const then = `No model ran: the activations come from a recording. When they were recorded, the watched model gave`;
        return parity["agrees"] === true ? [`${then} the same outputs as the untouched one (${batches}${largest}).`, "good"] : [`${then} OTHER outputs than the untouched one (${batches}${largest}): do not rely on these results.`, "error"];
    }
    return parity["agrees"] === true ? [`The watched model gave the same outputs as the untouched one (${batches}${largest}).`, "good"] : [`The watched model gave OTHER outputs than the untouched one (${batches}${largest}): do not rely on these results.`, "error"];
}

/** @type {{ [status: string]: [string, "good" | "warning" | "error" | "note"] }} */
const STATUS = {
    ok: ["The run is complete.", "good"],
    analysis_failed: ["The run is complete, and an analysis failed.", "warning"],
    outputs_differ: ["The watched model gave other outputs than the untouched one.", "error"],
    inspected: ["The model was looked at; nothing was analysed.", "note"],
    unfinished: ["The run has not ended. This is what it had written so far.", "warning"],
};

/** @param {ReportDocument} doc */
function overviewPage(doc) {
    const { run } = doc;
    const model = objectOf(run["model"]);
    const data = objectOf(run["data"]);
    const counts = objectOf(data["counts"]);
    const plan = objectOf(run["plan"]);
    const versions = objectOf(run["versions"]);
    const [status, kind] = STATUS[doc.status] ?? [`The run ended as ${doc.status}.`, "note"];
    const inspected = doc.status === "inspected";
    const [parity, agrees] = parityOf(run);
    const warnings = [...listOf(run["warnings"]).map(textOf), ...doc.analyses.flatMap((a) => warningsOf(a).map((text) => `${a.name}: ${text}`))];
    const number = (/** @type {Json | undefined} */ value) => (typeof value === "number" ? value : 0);
    /** @type {[string, string][]} */
    const read = [
        ["texts", grouped(number(counts["texts"]))],
        ["tokens", grouped(number(counts["tokens"]))],
        ["batches", typeof data["batches"] === "number" ? grouped(data["batches"]) : ""],
        ["texts that were cut", number(counts["truncated_texts"]) > 0 ? `${grouped(number(counts["truncated_texts"]))}, ${grouped(number(counts["truncated_tokens"]))} tokens lost` : ""],
        ["empty records left out", number(counts["skipped_empty"]) > 0 ? grouped(number(counts["skipped_empty"])) : ""],
    ];
    const files = (/** @type {Json | undefined} */ list) => listOf(list).map(objectOf).map((file) => [textOf(file["name"]), number(file["bytes"]), textOf(file["sha256"])]);
    const all = [...files(model["files"]).map((f) => ["model", ...f]), ...files(data["files"]).map((f) => ["data", ...f])];
    const known = doc.model;
    return [
        notice(status, kind),
        !inspected && notice(parity, agrees === "error" ? "error" : agrees),
        warnings.map((text) => notice(text, "warning")),
        !inspected && section(
            "Analyses",
            h("div", { class: "tiles" }, doc.analyses.map((a) => {
                return h("a", { class: `tile ${a.status}`, href: pageAddress("analysis", a.name) }, h("h3", null, a.name), h("p", { class: "quiet" }, [a.type !== a.name && a.type, a.status !== "ok" && a.status].filter(Boolean).join(" · ")), a.error ? h("p", null, `failed in ${a.error.stage}: ${a.error.message}`) : fields(answerOf(a)));
            })),
            doc.analyses.length === 0 && h("p", null, "The run has no analyses."),
        ),
        h("div", { class: "two" },
            section(
                "Model",
                fields(
                    /** @type {[string, Child][]} */ ([
                        ["architecture", textOf(model["architecture"])],
                        ["source", textOf(model["source"])],
                        ["weights", known ? `${grouped(known.parameters)} in the graph` : model["parameters"] ? grouped(number(model["parameters"])) : ""],
                        ["computed in", textOf(model["dtype"])],
                        ["longest input", model["max_tokens"] ? `${grouped(number(model["max_tokens"]))} tokens` : ""],
                        ["graph", known ? `${grouped(known.coverage.operations)} operations, fingerprint ${known.graph.fingerprint.slice(0, 12)}` : ""],
                    ]).filter(([, value]) => value !== ""),
                ),
            ),
            !inspected && section("Data", fields(read.filter(([, value]) => value !== ""))),
        ),
        section(
            "Versions and files",
            fields([["fmrai", textOf(versions["fmrai"]) || "not known"], ["libtorch", textOf(versions["libtorch"]) || "not known"]]),
            all.length > 0 && tableView(cellsOfRows(["of", "file", "bytes", "sha256"], /** @type {(string | number)[][]} */ (all)), { name: "files", rows: all.length, height: 240 }),
        ),
        Object.keys(plan).length > 0 && section("To run it again", h("p", null, "Save the plan beside its model and data and run ", h("code", null, "fmrai run plan.json"), ". The same plan gives the same numbers."), codeBlock(JSON.stringify(plan, null, 2), "plan.json")),
        (doc.notes ?? []).length > 0 && section("What this page leaves out", h("ul", null, (doc.notes ?? []).map((note) => h("li", null, note))), h("p", { class: "quiet" }, "The files of the run hold everything.")),
    ];
}
