// The graph as people open it, from modules or blocks down to single operations.

/** Boxes that are drawn at once at most. */
const MOST_BOXES = 1500;
const NODE_HEIGHT = 32;

/** @type {{ [role: string]: Rgb }} */
const ROLES = { attention: rgb("e69f00"), feed_forward: rgb("56b4e9"), norm: rgb("cc79a7"), embedding: rgb("009e73"), unembedding: rgb("009e73"), residual: rgb("d55e00"), position: rgb("999999"), weights: rgb("999999"), rearrangement: rgb("bbbbbb"), assertion: rgb("bbbbbb") };

/**
 * @param {ReportModel} shown
 * @param {string} name for files
 */
function graphView(shown, name) {
    const model = new GraphModel(shown.graph);
    const told = here().query;
    const hasModules = shown.graph.operations.module.some((m) => m !== 0);
    const hasBlocks = shown.graph.operations.block.some((b) => b !== 0);
    let by = /** @type {"module" | "block"} */ (told.get("by") === "module" && hasModules ? "module" : hasBlocks ? "block" : "module");
    let views = told.get("views") === "1";
    let tree = treeOf(model, by);
    /** @type {Set<string>} */
    const open = new Set((told.get("open") ?? "").split(",").filter((id) => id !== ""));
    let selected = told.has("node") ? Number(told.get("node")) : -1;
    let scale = 1;
    let offset = [0, 0];
    /** @type {Map<number | string, [number, number, number, number]>} */
    let boxes = new Map();

    const root = s("g");
    const edgesAround = s("g", { "pointer-events": "none" });
    const svg = s("svg", { class: "graph", role: "group", tabindex: 0, "aria-label": "The graph. Tab goes from box to box, Enter opens one, plus and minus zoom, arrows move." }, s("defs", null, s("marker", { id: "tip-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { d: "M0 0.8L7.5 4L0 7.2Z", class: "arrow" }))), root);
    const details = h("div", { class: "details", role: "region", "aria-label": "What is chosen", "aria-live": "polite" });
    const results = h("div", { class: "results" });
    const note = h("span", { class: "quiet" });

    const remember = () => {
        setQuery("open", [...open].join(","));
        setQuery("by", by === "block" || !hasBlocks ? "" : by);
        setQuery("node", selected < 0 ? "" : String(selected));
        setQuery("views", views ? "1" : "");
    };
    const transform = () => root.setAttribute("transform", `translate(${offset[0]} ${offset[1]}) scale(${scale})`);
    const hidden = (/** @type {number} */ op) => !views && model.isView(op) && (model.graph.operations.inputs[op]?.length ?? 0) > 0;
    /** The operation that is drawn where this one is not: what its tensor is a view of. */
    const source = (/** @type {number} */ tensor) => {
        let op = model.maker[tensor] ?? -1;
        for (let hops = 0; op >= 0 && hidden(op) && hops < 100; hops++) {
            op = model.maker[model.graph.operations.inputs[op]?.[0] ?? -1] ?? -1;
        }
        return op;
    };

    /**
     * A group with what is open in it, at the origin.
     * @param {Group} group
     * @returns {{ width: number, height: number, draw: (x: number, y: number) => Node[] }}
     */
    const arranged = (group) => {
        const children = group.children.filter((c) => typeof c !== "number" || !hidden(c));
        /** @type {Map<number, number>} */
        const of = new Map();
        const claim = (/** @type {Group | number} */ c, /** @type {number} */ place) => (typeof c === "number" ? void of.set(c, place) : c.children.forEach((inner) => claim(inner, place)));
        children.forEach(claim);
        /** @type {Map<string, Edge>} */
        const edges = new Map();
        for (const [op, to] of of) {
            for (const tensor of model.graph.operations.inputs[op] ?? []) {
                const from = of.get(source(tensor));
                if (from !== undefined && from !== to) {
                    edges.set(`${from} ${to}`, { from, to });
                }
            }
        }
        const made = children.map((c) => (typeof c === "number" ? operationBox(c) : open.has(c.id) ? openBox(c) : closedBox(c)));
        const lines = [...edges.values()];
        const layout = layered(made, lines);
        return {
            width: layout.width,
            height: layout.height,
            draw: (x, y) => [
                ...layout.routes.map((route, i) => s("path", { d: curved(route.map(([px, py]) => [px + x, py + y])), class: (lines[i]?.from ?? 0) > (lines[i]?.to ?? 0) ? "edge back" : "edge", "marker-end": "url(#tip-arrow)" })),
                ...made.flatMap((box, i) => box.draw(x + (layout.places[i]?.[0] ?? 0), y + (layout.places[i]?.[1] ?? 0))),
            ],
        };
    };
    const boxOf = (/** @type {string[]} */ lines, /** @type {string} */ kind) => Math.max(46, ...lines.map((line) => measured(line, 11.5))) + (kind === "operation" ? 16 : 30);

    /** @param {number} op */
    const operationBox = (op) => {
        const [title, under] = [baseName(model.text("name", op)), model.shape(op)];
        const width = boxOf([title, under], "operation");
        const role = model.text("role", op);
        return {
            width,
            height: NODE_HEIGHT,
            draw: (/** @type {number} */ x, /** @type {number} */ y) => {
                boxes.set(op, [x, y, width, NODE_HEIGHT]);
                const stripe = ROLES[role];
                return [
                    s(
                        "g",
                        { class: op === selected ? "node chosen" : "node", tabindex: 0, role: "button", "aria-label": `operation ${op}, ${title}, ${under}${role ? `, ${role.replace("_", " ")}` : ""}`, transform: `translate(${x} ${y})`, onclick: () => choose(op), onkeydown: pressed(() => choose(op)) },
                        s("rect", { width, height: NODE_HEIGHT, rx: 4 }),
                        stripe && s("rect", { class: "stripe", x: 0, y: 0, width: 4, height: NODE_HEIGHT, rx: 2, fill: css(stripe) }),
                        s("text", { x: width / 2, y: 13.5, "text-anchor": "middle" }, title),
                        s("text", { x: width / 2, y: 26, "text-anchor": "middle", class: "under" }, under),
                    ),
                ];
            },
        };
    };
    /** @param {Group} group */
    const closedBox = (group) => {
        const [title, under] = [fitted(group.name, 260, 11.5), count(group.operations, "operation")];
        const width = boxOf([title, under], "group");
        return {
            width,
            height: NODE_HEIGHT + 6,
            draw: (/** @type {number} */ x, /** @type {number} */ y) => {
                boxes.set(group.id, [x, y, width, NODE_HEIGHT + 6]);
                const stripe = roleOfGroup(group);
                return [
                    s(
                        "g",
                        { class: group.key && picked.has(group.key) ? "group closed picked" : "group closed", tabindex: 0, role: "button", "aria-expanded": "false", "aria-label": `${group.name}, ${under}, closed`, transform: `translate(${x} ${y})`, onclick: () => toggle(group), onkeydown: pressed(() => toggle(group)) },
                        s("rect", { width, height: NODE_HEIGHT + 6, rx: 7 }),
                        stripe && s("rect", { class: "stripe", x: 0, y: 5, width: 4, height: NODE_HEIGHT - 4, rx: 2, fill: css(stripe) }),
                        s("text", { x: width / 2, y: 16, "text-anchor": "middle" }, title),
                        s("text", { x: width / 2, y: 30, "text-anchor": "middle", class: "under" }, under),
                    ),
                ];
            },
        };
    };
    /** @param {Group} group */
    const openBox = (group) => {
        const inner = arranged(group);
        const title = fitted(group.name, 400, 11.5);
        const width = Math.max(inner.width + 24, measured(title, 11.5) + 50);
        const height = inner.height + 42;
        return {
            width,
            height,
            draw: (/** @type {number} */ x, /** @type {number} */ y) => {
                boxes.set(group.id, [x, y, width, height]);
                return [
                    s("rect", { class: "frame", x, y, width, height, rx: 8 }),
                    s("g", { class: "group opened", tabindex: 0, role: "button", "aria-expanded": "true", "aria-label": `${group.name}, open`, transform: `translate(${x} ${y})`, onclick: () => toggle(group), onkeydown: pressed(() => toggle(group)) }, s("rect", { width, height: 22, rx: 8 }), s("text", { x: 10, y: 15 }, `▾ ${title}`)),
                    ...inner.draw(x + (width - inner.width) / 2, y + 31),
                ];
            },
        };
    };
    /** @param {Group} group */
    const roleOfGroup = (group) => {
        /** @type {Map<string, number>} */
        const roles = new Map();
        const visit = (/** @type {Group | number} */ c) => (typeof c === "number" ? void roles.set(model.text("role", c), (roles.get(model.text("role", c)) ?? 0) + 1) : c.children.forEach(visit));
        visit(group);
        for (const small of ["", "rearrangement", "position", "weights"]) {
            roles.delete(small);
        }
        const most = [...roles].sort((a, b) => b[1] - a[1])[0];
        return roles.size === 1 && most ? ROLES[most[0]] : null;
    };

    const draw = () => {
        boxes = new Map();
        const all = arranged(tree);
        root.replaceChildren(...all.draw(0, 0), edgesAround);
        note.textContent = `${count(boxes.size, "box").replace("boxs", "boxes")} of ${count(model.size, "operation")}`;
        around();
        return all;
    };
    const fit = () => {
        const all = draw();
        const { clientWidth: w, clientHeight: hh } = svg;
        scale = Math.min(1.15, Math.max(0.08, Math.min((w - 40) / all.width, (hh - 40) / all.height)));
        // What is too tall to be read begins at its top.
        if (scale < 0.55) {
            scale = Math.min(1, Math.max(0.55, (w - 40) / all.width > 0.55 ? 0.8 : 0.55));
        }
        offset = [(w - all.width * scale) / 2, all.height * scale < hh - 40 ? (hh - all.height * scale) / 2 : 20];
        transform();
    };
    const center = (/** @type {number | string} */ id) => {
        const box = boxes.get(id);
        if (box) {
            scale = Math.max(scale, 0.8);
            offset = [svg.clientWidth / 2 - (box[0] + box[2] / 2) * scale, svg.clientHeight / 2 - (box[1] + Math.min(box[3], 200) / 2) * scale];
            transform();
        }
    };
    /** Draws the edges of the chosen operation to whatever of their other ends is drawn. */
    const around = () => {
        edgesAround.replaceChildren();
        const box = boxes.get(selected);
        if (!box) {
            return;
        }
        const visible = (/** @type {number} */ op) => {
            let at = boxes.get(op);
            for (let group = at ? null : groupOf(op); group && !at; group = group.parent) {
                at = open.has(group.id) || group.id === "" ? undefined : boxes.get(group.id);
            }
            return at;
        };
        const line = (/** @type {[number, number, number, number]} */ a, /** @type {[number, number, number, number]} */ b, /** @type {string} */ kind) => {
            const points = /** @type {[number, number][]} */ ([[a[0] + a[2] / 2, a[1] + a[3]], [b[0] + b[2] / 2, b[1]]]);
            edgesAround.append(s("path", { d: curved(points), class: `edge chosen ${kind}`, "marker-end": "url(#tip-arrow)" }));
        };
        for (const tensor of model.graph.operations.inputs[selected] ?? []) {
            const from = visible(source(tensor));
            if (from) {
                line(from, box, "in");
            }
        }
        for (const tensor of model.graph.operations.outputs[selected] ?? []) {
            for (const user of model.users[tensor] ?? []) {
                const to = visible(user);
                if (to) {
                    line(box, to, "out");
                }
            }
        }
    };
    /** @type {Map<number, Group>} */
    let groups = new Map();
    const groupOf = (/** @type {number} */ op) => {
        if (groups.size === 0) {
            groupsBelow(tree).forEach((group) => group.children.forEach((c) => typeof c === "number" && groups.set(c, group)));
        }
        return groups.get(op) ?? null;
    };
    /** @param {Group} group */
    const toggle = (group) => {
        const before = boxes.get(group.id);
        if (!open.delete(group.id)) {
            open.add(group.id);
        }
        draw();
        if (boxes.size > MOST_BOXES) {
            open.delete(group.id);
            draw();
            announce("There are too many boxes to open this one: close others first");
            note.textContent += ` · at most ${grouped(MOST_BOXES)} boxes are drawn at once: close some first`;
        }
        // What was pressed stays under the pointer.
        const after = boxes.get(group.id);
        if (before && after) {
            offset = [(offset[0] ?? 0) + (before[0] + before[2] / 2 - after[0] - after[2] / 2) * scale, (offset[1] ?? 0) + (before[1] - after[1]) * scale];
            transform();
        }
        remember();
        const again = [...root.querySelectorAll("[aria-expanded]")].find((e) => e.getAttribute("aria-label")?.startsWith(`${group.name},`));
        if (again instanceof SVGElement) {
            again.focus({ preventScroll: true });
        }
    };
    /** @param {number} op */
    const reveal = (op) => {
        if (hidden(op)) {
            views = true;
            viewsBox.checked = true;
        }
        for (let group = groupOf(op); group && group.id !== ""; group = group.parent) {
            open.add(group.id);
        }
        draw();
        choose(op);
        center(op);
    };
    /** @param {number} op */
    const choose = (op) => {
        selected = op;
        root.querySelectorAll(".node.chosen").forEach((node) => node.classList.remove("chosen"));
        around();
        const box = boxes.get(op);
        if (box) {
            [...root.querySelectorAll(".node")].find((node) => node.getAttribute("transform") === `translate(${box[0]} ${box[1]})`)?.classList.add("chosen");
        }
        details.replaceChildren(...operationDetails(model, op, reveal));
        remember();
    };
    const openAll = () => {
        for (const group of groupsBelow(tree).slice(1)) {
            open.add(group.id);
            const many = [...open].reduce((sum, id) => sum + (groupsBelow(tree).find((g) => g.id === id)?.children.length ?? 0), 0);
            if (many > MOST_BOXES) {
                open.delete(group.id);
                note.textContent = "some groups stay closed";
                break;
            }
        }
        remember();
        fit();
    };
    const find = () => {
        const wanted = search.value.trim().toLowerCase();
        if (wanted === "") {
            results.replaceChildren();
            return;
        }
        /** @type {number[]} */
        const hits = [];
        const tensor = /^#(\d+)$/.exec(wanted);
        for (let op = 0; op < model.size && hits.length < 200; op++) {
            const { inputs, outputs } = model.graph.operations;
            const ids = [...(inputs[op] ?? []), ...(outputs[op] ?? [])];
            const fits = tensor ? ids.includes(Number(tensor[1])) : [model.text("name", op), model.text("module", op), model.text("block", op), model.text("source", op), model.text("role", op), ...(inputs[op] ?? []).map((id) => model.tensor(id).name)].some((text) => text.toLowerCase().includes(wanted));
            if (fits) {
                hits.push(op);
            }
        }
        results.replaceChildren(
            h("p", { class: "quiet", role: "status" }, hits.length === 0 ? "No operation has this in its name, module, source or weights." : `${hits.length === 200 ? "the first " : ""}${count(hits.length, "operation")}`),
            h("ul", null, hits.map((op) => h("li", null, h("button", { type: "button", class: "link", onclick: () => reveal(op) }, `${op} ${baseName(model.text("name", op))} ${model.shape(op)}`), h("span", { class: "quiet" }, ` ${model.text("module", op) || model.text("block", op)}`)))),
        );
    };
    const search = h("input", { type: "search", placeholder: "search: softmax, layer.3, query.weight, #12", "aria-label": "Search the graph", oninput: find });
    const viewsBox = h("input", { type: "checkbox", onchange: () => ((views = viewsBox.checked), remember(), draw()) });
    viewsBox.checked = views;
    const change = (/** @type {string} */ value) => {
        by = value === "module" ? "module" : "block";
        tree = treeOf(model, by);
        groups = new Map();
        open.clear();
        remember();
        fit();
    };

    // Moving and zooming.
    /** @type {{ x: number, y: number, offset: number[] } | null} */
    let drag = null;
    svg.addEventListener("pointerdown", (e) => {
        if (e.button === 0) {
            drag = { x: e.clientX, y: e.clientY, offset: [...offset] };
        }
    });
    svg.addEventListener("pointermove", (e) => {
        if (drag) {
            const [dx, dy] = [e.clientX - drag.x, e.clientY - drag.y];
            if (Math.abs(dx) + Math.abs(dy) > 4) {
                svg.setPointerCapture(e.pointerId);
                offset = [(drag.offset[0] ?? 0) + dx, (drag.offset[1] ?? 0) + dy];
                transform();
            }
        }
    });
    svg.addEventListener("pointerup", () => (drag = null));
    svg.addEventListener("pointercancel", () => (drag = null));
    const zoom = (/** @type {number} */ by, x = svg.clientWidth / 2, y = svg.clientHeight / 2) => {
        const next = Math.min(4, Math.max(0.05, scale * by));
        offset = [x - ((x - (offset[0] ?? 0)) * next) / scale, y - ((y - (offset[1] ?? 0)) * next) / scale];
        scale = next;
        transform();
    };
    svg.addEventListener(
        "wheel",
        (e) => {
            if (e.ctrlKey || e.metaKey || svg.contains(document.activeElement)) {
                e.preventDefault();
                const box = svg.getBoundingClientRect();
                zoom(e.deltaY < 0 ? 1.12 : 1 / 1.12, e.clientX - box.left, e.clientY - box.top);
            }
        },
        { passive: false },
    );
    svg.addEventListener("keydown", (e) => {
        const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
        const step = moves[/** @type {keyof typeof moves} */ (e.key)];
        if (step) {
            offset = [(offset[0] ?? 0) + (step[0] ?? 0), (offset[1] ?? 0) + (step[1] ?? 0)];
            transform();
        } else if (e.key === "+" || e.key === "-") {
            zoom(e.key === "+" ? 1.25 : 0.8);
        } else if (e.key === "0") {
            fit();
        } else {
            return;
        }
        e.preventDefault();
    });

    const download = () => {
        const copyOf = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
        const all = arranged(tree);
        copyOf.querySelector("g")?.setAttribute("transform", "translate(20 20)");
        for (const [attribute, value] of Object.entries({ xmlns: SVG, width: all.width + 40, height: all.height + 40, viewBox: `0 0 ${all.width + 40} ${all.height + 40}`, "font-family": FONT, "font-size": 11.5 })) {
            copyOf.setAttribute(attribute, String(value));
        }
        copyOf.prepend(s("style", null, GRAPH_STYLE), s("rect", { width: "100%", height: "100%", fill: "#fff" }));
        draw();
        transform();
        save(`${name}-graph.svg`, new Blob([serialized(copyOf)], { type: "image/svg+xml" }));
    };
    const tools = h(
        "div",
        { class: "tools" },
        search,
        hasModules && hasBlocks && choice("grouped by", [["block", "blocks that were found"], ["module", "modules of the model"]], by, change),
        h("label", { class: "choice" }, viewsBox, h("span", null, "views and casts")),
        button("Open all", "Open all groups, as far as they can be drawn", openAll),
        button("Close all", "Close all groups", () => (open.clear(), remember(), fit())),
        h("span", { class: "space" }),
        note,
        button("+", "Zoom in", () => zoom(1.3)),
        button("−", "Zoom out", () => zoom(1 / 1.3)),
        button("Reset", "Show from the beginning", fit),
        button("SVG", "Download what is drawn as SVG", download),
    );
    const roles = h("div", { class: "legend" }, [["attention", "attention"], ["feed_forward", "feed-forward"], ["norm", "norm"], ["embedding", "embedding, unembedding"], ["residual", "residual stream"], ["position", "masks, positions, weights"], ["rearrangement", "arrangement"]].map(([role, text]) => {
        const swatch = h("span", { class: "swatch" });
        swatch.style.backgroundColor = css(ROLES[role ?? ""] ?? [0, 0, 0]);
        return h("span", { class: "entry" }, swatch, text);
    }));
    const element = h("div", { class: "graphview" }, tools, roles, h("div", { class: "graphpane" }, svg, h("div", { class: "side" }, results, details)));
    details.append(h("p", { class: "quiet" }, "Press a box to open it, an operation to see what it takes and makes. Drag to move; zoom with the buttons, or with the wheel once the graph has the focus."));
    watch(element, draw);
    let begun = false;
    new ResizeObserver(() => {
        if (!begun && svg.clientWidth > 0) {
            begun = true;
            fit();
            if (selected >= 0 && selected < model.size) {
                reveal(selected);
            }
        }
    }).observe(svg);
    return {
        element,
        /** @param {string} id of a group, as a path of blocks */
        show(id) {
            if (by !== "block" && hasBlocks) {
                change("block");
            }
            const parts = id.split("/");
            parts.forEach((_, i) => open.add(parts.slice(0, i + 1).join("/")));
            draw();
            center(id);
            remember();
            element.scrollIntoView({ block: "nearest" });
        },
    };
}

/** What a downloaded graph looks like: the page's own style does not go with it. */
const GRAPH_STYLE = ".node rect,.group.closed rect{fill:#fff;stroke:#555}.group.closed rect{fill:#eef1f6}.frame{fill:#f6f7fa;stroke:#9aa3b2}.group.opened rect{fill:#e4e8f0}.edge{fill:none;stroke:#777}.under{fill:#666;font-size:10px}.arrow{fill:#777}rect.stripe{stroke:none}.node rect.stripe,.group.closed rect.stripe{stroke:none}";

/** @param {() => void} act */
function pressed(act) {
    return (/** @type {KeyboardEvent} */ e) => {
        if (e.key === "Enter" || e.key === " ") {
            e.preventDefault();
            e.stopPropagation();
            act();
        }
    };
}

/**
 * A line through points, straight where it goes down and bent where it goes aside.
 * @param {number[][]} points
 */
function curved(points) {
    let d = "";
    points.forEach(([x = 0, y = 0], i) => {
        const [px = 0, py = 0] = points[i - 1] ?? [];
        const m = (py + y) / 2;
        d += i === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : Math.abs(px - x) < 0.5 ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `C${px.toFixed(1)} ${m.toFixed(1)} ${x.toFixed(1)} ${m.toFixed(1)} ${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    return d;
}

/**
 * What is known of an operation.
 * @param {GraphModel} model
 * @param {number} op
 * @param {(op: number) => void} go
 */
function operationDetails(model, op, go) {
    const { inputs, outputs } = model.graph.operations;
    const link = (/** @type {number} */ to) => h("button", { type: "button", class: "link", onclick: () => go(to) }, `${to} ${baseName(model.text("name", to))}`);
    const tensor = (/** @type {number} */ id, /** @type {boolean} */ made) => {
        const t = model.tensor(id);
        const from = model.maker[id] ?? -1;
        const users = model.users[id] ?? [];
        return h("li", null, h("code", null, `#${id}`), ` ${t.name} `, h("span", { class: "quiet" }, `${t.dtype} ${shapeText(t.shape)}`), made ? users.length > 0 && [" to ", users.slice(0, 8).flatMap((u, i) => [i > 0 ? ", " : "", link(u)]), users.length > 8 && ` and ${users.length - 8} more`] : from >= 0 ? [" from ", link(from)] : ` (${t.origin})`);
    };
    /** @type {[string, string][]} */
    const rows = [
        ["operation", `${op} of ${model.size}`],
        ["module", model.text("module", op)],
        ["block", model.text("block", op)],
        ["part of", model.text("role", op).replace("_", " ")],
        ["source", model.text("source", op)],
        ["constants", model.text("constants", op)],
    ];
    return [
        h("h4", null, h("code", null, model.text("name", op))),
        h("dl", null, rows.filter(([, value]) => value !== "").flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
        h("h5", null, "takes"),
        h("ul", null, (inputs[op] ?? []).map((id) => tensor(id, false))),
        h("h5", null, "makes"),
        h("ul", null, (outputs[op] ?? []).map((id) => tensor(id, true))),
    ];
}
