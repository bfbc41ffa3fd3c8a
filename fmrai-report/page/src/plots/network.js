// Nodes with weighted edges between them.

/**
 * @param {Network} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawNetwork(plot, how) {
    const { ink, view } = how;
    const xAll = extent(plot.nodes.map((n) => num(n.x))) ?? [0, 1];
    const yAll = extent(plot.nodes.map((n) => num(n.y))) ?? [0, 1];
    const rows = Math.max(1, yAll[1] - yAll[0]);
    const widths = plot.nodes.map((n) => Math.max(26, measured(n.label) + 12));
    const widest = Math.max(30, ...widths);
    const [left, top] = [widest / 2 + 8, 20];
    const wide = how.width - widest - 16;
    const tall = Math.min(640, Math.max(220, rows * 44));
    const [zx, zy] = [1 / (view[2] - view[0]), 1 / (view[3] - view[1])];
    const place = (/** @type {number} */ i) => {
        const n = plot.nodes[i];
        const x = (num(n?.x) - xAll[0]) / (xAll[1] - xAll[0] || 1);
        const y = 1 - (num(n?.y) - yAll[0]) / (yAll[1] - yAll[0] || 1);
        return /** @type {[number, number]} */ ([left + (x - view[0]) * zx * wide, top + (y - view[1]) * zy * tall]);
    };
    const largest = Math.max(1e-300, ...plot.edges.map((e) => Math.abs(num(e.value))).filter(Number.isFinite));
    // `how.least` hides the weaker edges: a share of the largest.
    const edges = plot.edges.map((e, i) => ({ ...e, i, size: Math.abs(num(e.value)) / largest })).filter((e) => !(e.size < how.least));
    edges.sort((a, b) => (a.size || 0) - (b.size || 0));
    const colours = { up: css(ink.lift > 0 ? rgb("f0884a") : rgb("c2520a")), down: css(ink.lift > 0 ? rgb("6fb1ee") : rgb("1f63b5")), none: ink.axis };
    const ends = edges.map((e) => {
        const [x1, y1] = place(e.from);
        const [x2, y2] = place(e.to);
        return /** @type {[number, number, number, number]} */ ([x1, y1 - 9, x2 + (num(e.enters) || 0) * ((widths[e.to] ?? 20) / 2 - 3), y2 + 9]);
    });
    const curve = (/** @type {[number, number, number, number]} */ [x1, y1, x2, y2]) => `M${x1.toFixed(1)} ${y1.toFixed(1)}C${x1.toFixed(1)} ${((y1 + y2) / 2).toFixed(1)} ${x2.toFixed(1)} ${((y1 + y2) / 2).toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
    const half = (/** @type {number} */ i) => {
        const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = ends[i] ?? [];
        return /** @type {[number, number]} */ ([(x1 + x2) / 2, (y1 + y2) / 2]);
    };
    const parts = edges.map((e, i) =>
        s("path", { d: curve(ends[i] ?? [0, 0, 0, 0]), fill: "none", stroke: num(e.value) > 0 ? colours.up : num(e.value) < 0 ? colours.down : colours.none, "stroke-width": Number.isNaN(e.size) ? 1 : 0.6 + 5 * e.size, "stroke-opacity": Number.isNaN(e.size) ? 0.4 : 0.35 + 0.6 * e.size }),
    );
    /** @type {Set<string>} */
    const written = new Set();
    const entries = edges.flatMap((e, i) => {
        const at = `${e.to} ${num(e.enters)}`;
        if (!e.label || written.has(at)) {
            return [];
        }
        written.add(at);
        const end = ends[i] ?? [0, 0, 0, 0];
        return [label(end[2] + 2, end[3] + 9, e.label, { "font-size": 9, fill: ink.soft })];
    });
    const nodes = plot.nodes.map((n, i) => {
        const [x, y] = place(i);
        const width = widths[i] ?? 20;
        return s("g", null, s("rect", { x: x - width / 2, y: y - 9, width, height: 18, rx: 4, fill: css(ink.paper), stroke: ink.axis }), label(x, y + 4, n.label, { "text-anchor": "middle" }));
    });
    /** @type {[number, number, number, number]} */
    const area = [0, 0, how.width, top + tall + 16];
    return {
        svg: picture(how.width, top + tall + 34, how, clipped(area, [...parts, ...entries, ...nodes]), label(8, top + tall + 30, `${axisTitle(plot.scale.label, plot.scale.unit)}: width; orange above zero, blue below`, { fill: ink.soft, "font-size": 10 })),
        marks: plot.nodes.length + edges.length,
        mark: (i) => {
            if (i < plot.nodes.length) {
                const [x, y] = place(i);
                const width = widths[i] ?? 20;
                const name = plot.nodes[i]?.label ?? "";
                const sum = (/** @type {"from" | "to"} */ end) => plot.edges.filter((e) => e[end] === i).length;
                return { title: name, lines: [["edges that enter", String(sum("to"))], ["edges that leave", String(sum("from"))]], key: keyOfLabel(name), box: [x - width / 2, y - 9, width, 18], round: false };
            }
            const e = edges[i - plot.nodes.length];
            const [x, y] = half(i - plot.nodes.length);
            return { title: `${plot.nodes[e?.from ?? 0]?.label ?? ""} → ${plot.nodes[e?.to ?? 0]?.label ?? ""}${e?.label ? ` (${e.label})` : ""}`, lines: [[plot.scale.label, withUnit(num(e?.value), plot.scale.unit)]], key: null, box: [x - 5, y - 5, 10, 10], round: true };
        },
        at: (x, y) => {
            const node = plot.nodes.findIndex((_, i) => Math.abs(place(i)[0] - x) <= (widths[i] ?? 20) / 2 && Math.abs(place(i)[1] - y) <= 10);
            if (node >= 0) {
                return node;
            }
            const edge = nearest(edges.length * 9, (k) => along(ends[Math.floor(k / 9)] ?? [0, 0, 0, 0], ((k % 9) + 1) / 10), x, y, 9);
            return edge < 0 ? -1 : plot.nodes.length + Math.floor(edge / 9);
        },
        legend: null,
        area,
    };
}

/**
 * A place on the curve of an edge.
 * @param {[number, number, number, number]} ends
 * @param {number} t
 * @returns {[number, number]}
 */
function along([x1, y1, x2, y2], t) {
    const m = (y1 + y2) / 2;
    const u = 1 - t;
    return [u ** 3 * x1 + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t ** 3 * x2, u ** 3 * y1 + 3 * u * u * t * m + 3 * u * t * t * m + t ** 3 * y2];
}
