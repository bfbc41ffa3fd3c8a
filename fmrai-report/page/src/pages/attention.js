// What each head does with a text: all heads at once, one head as lines between tokens and as a matrix, from a token or to it.

/**
 * @typedef {{ id: string, tokens: string[], layers: number, heads: number, n: number, all: Float32Array }} AttentionText
 */

/**
 * The texts of an analysis that keeps attention: a table `tokens` and tensors `attention.TEXT` over layer, head, query and key.
 * @param {Analysis} analysis
 * @returns {AttentionText[]}
 */
function attentionTexts(analysis) {
    const table = (analysis.tables ?? []).find(({ table }) => table.name === "tokens")?.table;
    const column = (/** @type {string} */ name) => table?.columns.find((c) => c.name === name)?.values ?? [];
    const [texts, shown] = [column("text"), column("shown")];
    return (analysis.tensors ?? []).flatMap((tensor) => {
        const id = /^attention\.(\d+)$/.exec(tensor.name)?.[1];
        const all = id !== undefined && tensor.axes.join() === "layer,head,query,key" ? elements(tensor) : null;
        if (id === undefined || !all) {
            return [];
        }
        const tokens = shown.filter((_, i) => String(texts[i]) === id).map(String);
        const [layers = 0, heads = 0, n = 0] = tensor.shape;
        return [{ id, tokens, layers, heads, n, all }];
    });
}

/**
 * The matrix of a head, or the mean of all heads of a layer, or of all.
 * @param {AttentionText} text
 * @param {number} layer -1 for the mean of all
 * @param {number} head -1 for the mean of its layer
 * @returns {Float32Array}
 */
function attentionMatrix({ layers, heads, n, all }, layer, head) {
    const size = n * n;
    if (layer >= 0 && head >= 0) {
        const from = (layer * heads + head) * size;
        return all.subarray(from, from + size);
    }
    const mean = new Float32Array(size);
    let known = 0;
    for (let l = layer < 0 ? 0 : layer; l < (layer < 0 ? layers : layer + 1); l++) {
        for (let hd = 0; hd < heads; hd++) {
            const from = (l * heads + hd) * size;
            if (Number.isNaN(all[from])) {
                continue; // a layer with fewer heads
            }
            known++;
            for (let i = 0; i < size; i++) {
                mean[i] = (mean[i] ?? 0) + (all[from + i] ?? 0);
            }
        }
    }
    return mean.map((x) => x / Math.max(1, known));
}

/** @param {string} token */
function visibleToken(token) {
    const text = token.replace(/\n/g, "⏎").replace(/\t/g, "⇥").trim();
    return text === "" ? "␣" : text;
}

/** @param {Analysis} analysis */
function attentionView(analysis) {
    const texts = attentionTexts(analysis);
    const [first] = texts;
    if (!first) {
        return h("p", { class: "quiet" }, "The attention of this run is in its files alone: it is too large for this page.");
    }
    const told = here().query;
    let text = texts.find(({ id }) => id === told.get("text")) ?? first;
    const [l = 0, hd = 0] = (told.get("head") ?? "0.0").split(".").map(Number);
    const state = { layer: l, head: hd, token: told.has("token") ? Number(told.get("token")) : -1, to: told.get("to") === "1", special: true };
    const grid = h("div", { class: "headgrid", role: "group", "aria-label": "All heads" });
    const one = h("div", { class: "onehead" });
    const strip = h("p", { class: "strip", dir: "auto" });
    const tools = h("div", { class: "tools" });

    const name = () => (state.layer < 0 ? "mean of all heads" : state.head < 0 ? `layer ${state.layer}, mean of its heads` : `layer ${state.layer}, head ${state.head}`);
    const remember = () => {
        setQuery("text", text === first ? "" : text.id);
        setQuery("head", `${state.layer}.${state.head}`);
        setQuery("token", state.token < 0 ? "" : String(state.token));
        setQuery("to", state.to ? "1" : "");
    };
    /** What a thumbnail shows: the matrix, or what one token gives or gets. */
    const thumb = (/** @type {Float32Array} */ m) => {
        const { n } = text;
        const canvas = h("canvas", { width: n, height: n });
        const context = canvas.getContext("2d");
        if (context) {
            const image = context.createImageData(n, n);
            const paper = ink().paper;
            const strong = ink().lift > 0 ? rgb("7cc4ff") : rgb("00458a");
            for (let i = 0; i < n * n; i++) {
                const [q, k] = [Math.floor(i / n), i % n];
                const dim = state.token >= 0 && (state.to ? k : q) !== state.token ? 0.25 : 1;
                const [r, g, b] = mixed(paper, strong, Math.sqrt(Math.min(1, Math.max(0, m[i] ?? 0))) * dim);
                image.data.set([r, g, b, 255], 4 * i);
            }
            context.putImageData(image, 0, 0);
        }
        return canvas;
    };
    const cell = (/** @type {number} */ layer, /** @type {number} */ head) => {
        const m = attentionMatrix(text, layer, head);
        if (Number.isNaN(m[0] ?? NaN)) {
            return h("span");
        }
        const key = head < 0 ? `layer ${layer}` : `layer ${layer} head ${head}`;
        const chosen = layer === state.layer && head === state.head;
        const said = layer < 0 ? "mean of all heads" : head < 0 ? `layer ${layer}, mean of its heads` : `layer ${layer}, head ${head}`;
        return h("button", { type: "button", class: ["thumb", chosen ? "chosen" : "", picked.has(key) && head >= 0 ? "picked" : "", head < 0 ? "mean" : ""].join(" "), title: said, "aria-label": said, "aria-pressed": String(chosen), onclick: () => {
            [state.layer, state.head] = [layer, head];
            all();
        }, ondblclick: () => picked.toggle(key) }, thumb(m));
    };
    const drawGrid = () => {
        grid.style.setProperty("--heads", String(text.heads + 2));
        const focused = document.activeElement?.getAttribute("aria-label");
        grid.replaceChildren(
            h("span"),
            ...Array.from({ length: text.heads }, (_, i) => h("span", { class: "quiet" }, String(i))),
            h("span", { class: "quiet" }, "mean"),
            ...Array.from({ length: text.layers }, (_, layer) => [h("span", { class: "quiet rowname" }, String(layer)), ...Array.from({ length: text.heads }, (_, head) => cell(layer, head)), cell(layer, -1)]).flat(),
        );
        if (focused) {
            const again = [...grid.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === focused);
            again?.focus({ preventScroll: true });
        }
    };
    const drawStrip = () => {
        const m = attentionMatrix(text, state.layer, state.head);
        const { n, tokens } = text;
        strip.replaceChildren(
            ...tokens.map((token, i) => {
                const value = state.token < 0 ? NaN : state.to ? (m[i * n + state.token] ?? NaN) : (m[state.token * n + i] ?? NaN);
                const b = h("button", { type: "button", class: i === state.token ? "token chosen" : "token", "aria-pressed": String(i === state.token), title: Number.isNaN(value) ? "Show what this token attends to" : `${short(value, 3)}`, onclick: () => ((state.token = state.token === i ? -1 : i), all()) }, token.replace(/\n/g, "⏎") || "␣");
                if (!Number.isNaN(value)) {
                    const colour = behindText(Math.sqrt(value), ink());
                    b.style.backgroundColor = css(colour);
                    b.style.color = readableOn(colour);
                }
                return b;
            }),
        );
    };
    const drawOne = () => {
        const m = attentionMatrix(text, state.layer, state.head);
        const rows = text.tokens.map((t, i) => `${visibleToken(t)} ${i}`);
        /** @type {HeatMap} */
        const plot = { kind: "heat_map", row_axis: "query: the token that attends", column_axis: "key: the token attended to", rows, columns: rows, values: [...m], scale: { label: "attention", unit: null, range: [0, Math.max(1e-6, extent(m)?.[1] ?? 1)], whole: false }, diverging: false, row_groups: [], column_groups: [] };
        const head = `attention_${text.id}_${name().replace(/\W+/g, "_")}`;
        one.replaceChildren(
            h("h3", null, name()),
            h("div", { class: "two" }, attentionLines(text, m, state, (token) => ((state.token = state.token === token ? -1 : token), all())), figureView({ name: head, title: `Attention, ${name()}`, caption: "A row says how a token spreads its attention; it sums to 1.", panels: [{ title: "", plot }], columns: 1 }, `attention-${analysis.name}`)),
        );
    };
    const drawTools = () =>
        tools.replaceChildren(
            texts.length > 1 ? choice("text", texts.map(({ id, tokens }) => [id, `${id}: ${fitted(tokens.join("").trim(), 260)}`]), text.id, (id) => {
                text = texts.find((t) => t.id === id) ?? first;
                state.token = -1;
                all();
            }) : "",
            choice("of a token", [["from", "what it attends to"], ["to", "what attends to it"]], state.to ? "to" : "from", (value) => ((state.to = value === "to"), all())),
            button("mean of all", "Show the mean of all heads", () => (([state.layer, state.head] = [-1, -1]), all())),
            h("span", { class: "space" }),
            h("span", { class: "quiet" }, `${count(text.layers, "layer")}, ${count(text.heads, "head")} each, ${count(text.n, "token")}`),
        );
    const all = () => {
        remember();
        drawTools();
        drawStrip();
        drawGrid();
        drawOne();
    };
    grid.addEventListener("keydown", (e) => {
        const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
        const step = steps[/** @type {keyof typeof steps} */ (e.key)];
        if (step) {
            state.layer = Math.min(text.layers - 1, Math.max(0, state.layer + (step[0] ?? 0)));
            state.head = Math.min(text.heads - 1, Math.max(-1, state.head + (step[1] ?? 0)));
            all();
            grid.querySelector(".chosen")?.closest("button")?.focus();
            announce(name());
            e.preventDefault();
        }
    });
    all();
    const element = h("div", { class: "attention" }, tools, h("p", { class: "quiet" }, "Choose a token to see what it attends to, in every head. Rows of the matrices are the tokens that attend, columns those attended to; darker is more (by the square root)."), strip, grid, one);
    watch(element, drawGrid);
    themed.add(oncePerFrame(() => element.isConnected && all()));
    return element;
}

/**
 * A head as lines between the tokens that attend, on the left, and those attended to.
 * @param {AttentionText} text
 * @param {Float32Array} m
 * @param {{ token: number, to: boolean }} state
 * @param {(token: number) => void} choose
 */
function attentionLines(text, m, state, choose) {
    const { n, tokens } = text;
    const colours = ink();
    const row = Math.max(11, Math.min(20, 640 / n));
    const width = 420;
    const [left, right] = [130, width - 130];
    const y = (/** @type {number} */ i) => 24 + (i + 0.5) * row;
    const stroke = colours.lift > 0 ? "#7cc4ff" : "#00458a";
    const lines = [];
    const most = extent(m)?.[1] ?? 1;
    for (let q = 0; q < n; q++) {
        for (let k = 0; k < n; k++) {
            const a = m[q * n + k] ?? 0;
            const wanted = state.token < 0 || (state.to ? k : q) === state.token;
            if (wanted && a > (state.token < 0 ? 0.04 : 0.005)) {
                lines.push(s("line", { x1: left, x2: right, y1: y(q), y2: y(k), stroke, "stroke-width": 0.5 + 3.2 * (a / most), "stroke-opacity": 0.12 + 0.85 * a }));
            }
        }
    }
    const names = tokens.flatMap((token, i) => {
        const shown = fitted(visibleToken(token), 116);
        const mark = (/** @type {boolean} */ on) => ({ class: "pointed", fill: on ? colours.text : colours.soft, "font-weight": on ? 700 : 400, onclick: () => choose(i) });
        return [label(left - 6, y(i) + 4, shown, { "text-anchor": "end", ...mark(!state.to && i === state.token) }), label(right + 6, y(i) + 4, shown, mark(state.to && i === state.token))];
    });
    const how = { width, ink: colours, hidden: new Set(/** @type {number[]} */ ([])), sort: "", view: /** @type {View} */ ([0, 0, 1, 1]), title: "Lines from each token to those that it attends to", least: 0 };
    return h("div", { class: "lines" }, picture(width, 24 + n * row + 8, how, label(left - 6, 14, "attends", { "text-anchor": "end", fill: colours.soft }), label(right + 6, 14, "is attended to", { fill: colours.soft }), ...lines, ...names), h("p", { class: "quiet" }, state.token < 0 ? "Lines below 0.04 are left out." : "Lines below 0.005 are left out."));
}
