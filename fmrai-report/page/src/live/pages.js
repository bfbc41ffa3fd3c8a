// Pages that only a server can have.

/**
 * How far a run is.
 * @param {Json} told
 */
function progressView(told) {
    const all = objectOf(told);
    const progress = objectOf(all["progress"]);
    if (all["going"] !== true) {
        return h("div");
    }
    const events = listOf(progress["events"]).map(objectOf);
    const last = (/** @type {string} */ name) => events.filter((e) => e["event"] === name).at(-1) ?? {};
    const batch = last("batch");
    const number = (/** @type {Json | undefined} */ x) => (typeof x === "number" ? x : 0);
    const [read, of] = [number(batch["read"]), number(batch["of"]) || number(last("started")["of"])];
    const share = of > 0 ? Math.min(1, read / of) : 0;
    const bar = h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(100 * share), "aria-label": "how far the run is" }, h("div"));
    const inner = bar.firstElementChild;
    if (inner instanceof HTMLElement) {
        inner.style.width = `${100 * share}%`;
    }
    const concluding = last("concluding")["analysis"];
    const what = concluding ? `drawing the conclusions of ${textOf(concluding)}` : batch["event"] ? `${grouped(number(batch["texts"]))} texts, ${count(number(batch["batches"]), "batch").replace("batchs", "batches")}, ${Math.round(100 * share)} % of the data read${number(batch["sweep"]) > 0 ? `, sweep ${number(batch["sweep"]) + 1}` : ""}` : "at its beginning";
    const failed = events.filter((e) => e["event"] === "failed");
    return h("div", { class: "notice note live" }, h("p", null, h("strong", null, "This run is going on: "), what, progress["seconds"] ? `, ${grouped(number(progress["seconds"]))} s` : ""), bar, failed.map((f) => h("p", null, `${textOf(f["analysis"])} failed in ${textOf(f["stage"])}: ${textOf(f["message"])}`)));
}

/** @param {Json} list */
function runsView(list) {
    const runs = listOf(list).map(objectOf);
    if (runs.length === 0) {
        return h("p", null, "There are no runs in the folders that are served.");
    }
    return h("div", { class: "tiles" }, runs.map((run) => {
        const started = typeof run["started"] === "number" ? new Date(1000 * run["started"]).toLocaleString() : "";
        const analyses = listOf(run["analyses"]).map((a) => textOf(objectOf(a)["name"]));
        /** @type {[string, Child][]} */
        const rows = [["model", textOf(run["model"])], ["texts", textOf(run["texts"])], ["started", started], ["took", typeof run["seconds"] === "number" ? `${short(run["seconds"], 3)} s` : ""], ["analyses", analyses.join(", ")]];
        return h("a", { class: `tile ${run["status"] === "ok" ? "ok" : ""}`, href: writeAddress({ path: ["run", textOf(run["name"])], query: new Map() }) }, h("h3", { dir: "auto" }, textOf(run["name"])), h("p", { class: "quiet" }, run["going"] === true ? "going on" : textOf(run["status"]).replace("_", " ")), fields(rows.filter(([, value]) => value !== "")));
    }));
}

/**
 * A text of one's own.
 * @param {string} run
 */
function textPage(run) {
    const area = h("textarea", { "aria-label": "The text", dir: "auto", placeholder: "Write a text for the model of this run." });
    area.value = here().query.get("say") ?? "";
    const out = h("div");
    const go = h("button", { type: "button", onclick: () => send() }, "Run the model on it");
    const send = () => {
        setQuery("say", area.value);
        go.disabled = true;
        const begin = performance.now();
        const answer = asked("api/text", { run, text: area.value });
        const done = () => (go.disabled = false);
        answer.then(done, done);
        out.replaceChildren(awaited(answer, (value) => textAnswer(/** @type {ReportDocument} */ (/** @type {unknown} */ (value)), performance.now() - begin)));
    };
    area.addEventListener("keydown", (e) => {
        if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
            send();
        }
    });
    return [h("p", { class: "quiet" }, "The text goes to the program on the machine that serves this page, and nowhere else. Ctrl-Enter runs it; the first time the model is loaded."), area, h("div", { class: "tools" }, go), out];
}

/**
 * @param {ReportDocument} doc
 * @param {number} milliseconds
 */
function textAnswer(doc, milliseconds) {
    const named = (/** @type {string} */ name) => doc.analyses.find((a) => a.name === name && a.status === "ok");
    const [attention, prediction, neurons] = [named("attention"), named("prediction"), named("neurons")];
    return [
        h("p", { class: "quiet", role: "status" }, `${grouped(milliseconds)} ms`),
        prediction && section("What it predicts next", nextTokens(prediction)),
        attention && section("Attention", attentionView(attention)),
        neurons && section(
            "Strongest neurons",
            (neurons.figures ?? []).map((f) => figureView(f, `figure-${f.name}`)),
            (neurons.tables ?? []).map(({ table, rows }) => tableView(cellsOf(table), { name: table.name, rows })),
        ),
        prediction && section("Logit lens", (prediction.figures ?? []).map((f) => figureView(f, `figure-${f.name}`))),
        (doc.notes ?? []).map((note) => notice(note, "note")),
    ];
}

/**
 * The tokens that the last layer predicts after the last token, from the table of the lens.
 * @param {Analysis} lens
 */
function nextTokens(lens) {
    const grid = (lens.tables ?? []).find(({ table }) => table.name === "grid")?.table;
    const column = (/** @type {RegExp} */ name) => grid?.columns.find((c) => name.test(c.name))?.values ?? [];
    const [positions, layers, predicted, probabilities] = [column(/^position$/), column(/^layer$|^stream$/), column(/^predicted_token$|^token$|^predicted$/), column(/^probability$/)];
    const last = Math.max(...positions.map((p) => num(p)));
    const rows = predicted.map((token, i) => ({ token: String(token), p: num(probabilities[i]), position: num(positions[i]), place: i })).filter((row) => row.position === last);
    const top = Math.max(...rows.map((row) => num(layers[row.place])));
    const best = rows.filter((row) => num(layers[row.place]) === top || Number.isNaN(top)).slice(0, 10);
    if (best.length === 0) {
        return h("p", { class: "quiet" }, "The lens tells its numbers in the figures below.");
    }
    /** @type {Bars} */
    const plot = { kind: "bars", category_axis: "next token", categories: best.map((row) => visibleToken(row.token)), y: { label: "probability", unit: null, range: [0, 1], whole: false }, groups: [["", best.map((row) => row.p)]], stacked: false };
    return figureView({ name: "next_tokens", title: "Most probable next tokens", caption: "What the model says after the last token of the text.", panels: [{ title: "", plot }], columns: 1 }, "figure-next_tokens");
}

/**
 * Questions to the stores of a run.
 * @param {string} run
 */
function askPage(run) {
    return [
        h("p", { class: "quiet" }, "Questions that the analyzers of this run declare, and SQL of your own. Both can only read; an answer has at most 1,000 rows, and a question may take ten seconds."),
        awaited(asked(query("api/questions", { run })), (stores) => {
            const all = listOf(stores).map(objectOf);
            return all.length === 0 ? h("p", null, "No analysis of this run has left a store.") : all.map((store) => storeView(run, store));
        }),
    ];
}

/**
 * @param {string} run
 * @param {{ [name: string]: Json }} store
 */
function storeView(run, store) {
    const analysis = textOf(store["analysis"]);
    const questions = listOf(store["questions"]).map(objectOf).map((question) => {
        const out = h("div");
        const inputs = listOf(question["parameters"]).map(objectOf).map((p) => {
            const input = h("input", { type: p["type"] === "text" ? "text" : "number", step: "any", value: textOf(p["default"]).replace("−", "-"), "aria-label": textOf(p["about"]), title: textOf(p["about"]), required: p["default"] === undefined });
            return { name: textOf(p["name"]), kind: textOf(p["type"]), input, element: h("label", { class: "choice" }, h("span", null, textOf(p["name"])), input) };
        });
        const ask = () => {
            const told = Object.fromEntries(inputs.filter(({ input, kind }) => kind === "text" || input.value !== "").map(({ name, kind, input }) => [name, kind === "text" ? input.value : kind === "integer" ? Math.round(Number(input.value)) : Number(input.value)]));
            out.replaceChildren(awaited(asked("api/ask", { run, analysis, question: textOf(question["name"]), parameters: told }), (answer) => answerView(/** @type {Answer} */ (/** @type {unknown} */ (answer)))));
        };
        return h("details", { class: "fold" }, h("summary", null, textOf(question["name"])), h("p", { class: "quiet" }, textOf(question["about"])), h("form", { class: "tools", onsubmit: (/** @type {Event} */ e) => (e.preventDefault(), ask()) }, inputs.map(({ element }) => element), h("button", { type: "submit" }, "Ask")), out);
    });
    const area = h("textarea", { class: "sql", "aria-label": `SQL for ${analysis}`, spellcheck: false });
    const tables = listOf(store["tables"]).map(objectOf);
    const first = tables.find((t) => !["questions", "about"].includes(textOf(t["name"])));
    area.value = `SELECT * FROM ${textOf(first?.["name"])} LIMIT 20`;
    const out = h("div");
    const go = () =>
        out.replaceChildren(
            awaited(asked("api/sql", { run, analysis, sql: area.value }), (answer) => {
                const { columns, rows, cut } = objectOf(answer);
                const cells = listOf(rows).map((row) => listOf(row).map((v) => (typeof v === "number" ? v : v === null ? "" : String(v))));
                return [tableView(cellsOfRows(listOf(columns).map(textOf), cells), { name: `${analysis} answer`, rows: cells.length }), cut === true && h("p", { class: "quiet" }, "There are more rows than these.")];
            }),
        );
    return section(
        analysis,
        h("p", { class: "quiet" }, `${textOf(store["schema"])} version ${textOf(store["version"])}`),
        questions,
        h("details", { class: "fold" }, h("summary", null, "SQL"), h("ul", null, tables.map((t) => h("li", null, h("code", null, `${textOf(t["name"])}(${listOf(t["columns"]).map(textOf).join(", ")})`), h("span", { class: "quiet" }, ` ${textOf(t["about"])}`)))), area, h("div", { class: "tools" }, h("button", { type: "button", onclick: go }, "Run it")), out),
    );
}

/**
 * Stored activations.
 * @param {string} run
 */
function activationsPage(run) {
    return [
        awaited(asked(query("api/activations", { run })), (stored) => {
            const { tensors, texts } = objectOf(stored);
            const allTensors = listOf(tensors).map(objectOf);
            const allTexts = listOf(texts).map(objectOf);
            const out = h("div");
            const labels = (/** @type {{ [name: string]: Json }} */ t) => listOf(t["labels"]).map(textOf).join(", ") || `#${textOf(t["id"])}`;
            const state = { text: textOf(allTexts[0]?.["text"]), tensor: textOf(allTensors[0]?.["id"]) };
            const show = () => out.replaceChildren(awaited(asked(query("api/activation", { run, ...state })), (value) => activationView(objectOf(value), labels(allTensors.find((t) => textOf(t["id"]) === state.tensor) ?? {}))));
            show();
            return [h("div", { class: "tools" }, choice("text", allTexts.map((t) => [textOf(t["text"]), `${textOf(t["text"])}: ${fitted(textOf(t["content"]), 300)}`]), state.text, (v) => ((state.text = v), show())), choice("tensor", allTensors.map((t) => [textOf(t["id"]), labels(t)]), state.tensor, (v) => ((state.tensor = v), show()))), out];
        }),
    ];
}

/**
 * @param {{ [name: string]: Json }} value
 * @param {string} name
 */
function activationView(value, name) {
    const shape = listOf(value["shape"]).map(Number);
    const values = listOf(value["values"]).map((v) => /** @type {Num} */ (typeof v === "number" ? v : null));
    const tokens = listOf(value["tokens"]).map(textOf);
    const columns = Math.max(1, shape.at(-1) ?? 1);
    const rows = Math.floor(values.length / columns);
    const per = Math.max(1, shape.at(-2) ?? 1);
    const rowName = (/** @type {number} */ i) => (per === tokens.length ? `${i >= per ? `${Math.floor(i / per)} ` : ""}${visibleToken(tokens[i % per] ?? "")} ${i % per}` : String(i));
    /** @type {HeatMap} */
    const plot = { kind: "heat_map", row_axis: per === tokens.length ? "token" : "row", column_axis: "last axis", rows: Array.from({ length: rows }, (_, i) => rowName(i)), columns: Array.from({ length: columns }, (_, i) => (columns === tokens.length ? `${visibleToken(tokens[i] ?? "")} ${i}` : String(i))), values: values.slice(0, rows * columns), scale: { label: "activation", unit: null, range: null, whole: false }, diverging: values.some((v) => num(v) < 0), row_groups: [], column_groups: [] };
    return [h("p", { class: "quiet" }, `${shapeText(shape)}${value["cut"] === true ? ", the first numbers of it" : ""}${value["of_text"] === true ? "" : ", of the whole batch: which part belongs to the text cannot be told"}`), figureView({ name: "activation", title: name, caption: "", panels: [{ title: "", plot }], columns: 1 }, "figure-activation")];
}

/** @param {Json} list */
function comparePage(list) {
    const names = listOf(list).map((run) => textOf(objectOf(run)["name"]));
    const told = here().query;
    const state = { a: told.get("a") ?? names[0] ?? "", b: told.get("b") ?? names[1] ?? "" };
    const out = h("div");
    const show = () => {
        setQuery("a", state.a);
        setQuery("b", state.b);
        out.replaceChildren(awaited(asked(query("api/compare", { a: state.a, b: state.b })), comparisonView));
    };
    const options = /** @type {[string, string][]} */ (names.map((n) => [n, n]));
    if (names.length < 2) {
        return [h("p", null, "There is one run; two are compared.")];
    }
    show();
    return [h("div", { class: "tools" }, choice("first", options, state.a, (v) => ((state.a = v), show())), choice("second", options, state.b, (v) => ((state.b = v), show()))), out];
}

/** @param {Json} told */
function comparisonView(told) {
    const all = objectOf(told);
    const said = (/** @type {string} */ field, /** @type {string} */ name) => h("li", null, `${all[field] === true ? "the same" : "another"} ${name}`);
    const only = (/** @type {string} */ field, /** @type {string} */ which) => listOf(all[field]).length > 0 && h("p", null, `Only the ${which} has: ${listOf(all[field]).map(textOf).join(", ")}.`);
    return [
        h("ul", null, said("same_model", "model"), said("same_data", "data"), said("same_graph", "graph"), said("same_plan", "plan")),
        only("only_first", "first"),
        only("only_second", "second"),
        listOf(all["analyses"]).map(objectOf).map((a) => {
            const tensors = listOf(a["tensors"]).map(objectOf);
            const figures = listOf(a["figures"]).map(objectOf);
            const cell = (/** @type {Json | undefined} */ v) => (typeof v === "number" ? v : v === undefined || v === null ? "" : String(v));
            const rows = tensors.map((t) => [textOf(t["name"]), shapeText(listOf(t["shape"]).map(Number)), t["same_shape"] === false ? "another shape" : t["same"] === true ? "yes" : "no", cell(t["max_abs_difference"]), cell(t["mean_abs_difference"]), cell(t["max_abs_value"]), cell(t["correlation"])]);
            const differ = listOf(a["fields"]).map(objectOf);
            const changed = figures.filter((f) => f["same"] !== true);
            const figure = (/** @type {Json | undefined} */ f, /** @type {string} */ which) => f && h("div", null, h("p", { class: "quiet" }, which), figureView(/** @type {Figure} */ (/** @type {unknown} */ (f)), `figure-${textOf(objectOf(f)["name"])}-${which}`));
            return section(
                textOf(a["name"]),
                a["same_config"] === false && notice("Its settings differ between the two.", "note"),
                rows.length > 0 && tableView(cellsOfRows(["tensor", "shape", "same", "largest difference", "mean difference", "largest value", "correlation"], rows), { name: `${textOf(a["name"])} tensors`, rows: rows.length, height: 260 }),
                differ.length > 0 && h("details", { class: "fold" }, h("summary", null, `${count(differ.length, "number")} of the answer differ`), tableView(cellsOfRows(["field", "first", "second"], differ.map((d) => [textOf(d["name"]), cell(d["first"]), cell(d["second"])])), { name: "fields", rows: differ.length, height: 260 })),
                changed.length === 0 ? figures.length > 0 && h("p", { class: "quiet" }, "All figures are the same.") : changed.map((f) => h("details", { class: "fold" }, h("summary", null, textOf(f["title"])), lazily(() => h("div", null, figure(f["difference"], "difference"), h("div", { class: "two" }, figure(f["first"], "first"), figure(f["second"], "second")))))),
            );
        }),
    ];
}
