// The numbers of a figure as a table: for people who do not see it, for copying, and for other programs.

/**
 * @param {Plot} plot
 * @returns {{ header: string[], rows: (string | number)[][] }}
 */
function tabulated(plot) {
    const title = (/** @type {Axis} */ axis) => axisTitle(axis.label, axis.unit);
    switch (plot.kind) {
        case "scatter": {
            const header = ["label", title(plot.x), title(plot.y), plot.colours.title || "colour", ...(plot.shapes ? [plot.shapes.title] : [])];
            const rows = plot.points.map((p) => [p.label, num(p.x), num(p.y), plot.colours.entries[p.colour] ?? "", ...(plot.shapes ? [plot.shapes.entries[p.shape] ?? ""] : [])]);
            return { header, rows };
        }
        case "heat_map": {
            const columns = plot.columns.length;
            const header = [plot.row_axis, plot.column_axis, title(plot.scale), ...(plot.texts?.length ? ["text"] : [])];
            const rows = plot.values.map((value, i) => [plot.rows[Math.floor(i / columns)] ?? "", plot.columns[i % columns] ?? "", num(value), ...(plot.texts?.length ? [plot.texts[i] ?? ""] : [])]);
            return { header, rows };
        }
        case "lines":
            return linesTable(plot, title);
        case "bars":
            return { header: [plot.category_axis, "group", title(plot.y)], rows: plot.groups.flatMap(([name, values]) => values.map((v, i) => [plot.categories[i] ?? "", name, num(v)])) };
        case "box_plot":
            return { header: [plot.category_axis, ...["least", "lower quartile", "median", "upper quartile", "most"].map((q) => `${q} of ${title(plot.y)}`)], rows: plot.boxes.map((box, i) => [plot.categories[i] ?? "", ...box.map(num)]) };
        case "passages":
            return { header: ["card", "passage", "token", title(plot.scale)], rows: plot.cards.flatMap((card) => card.passages.flatMap((p, i) => p.tokens.map((t) => [card.title, `${i + 1}${p.label ? ` (${p.label})` : ""}`, t.text, num(t.value)]))) };
        case "network":
            return { header: ["from", "to", "entrance", title(plot.scale)], rows: plot.edges.map((e) => [plot.nodes[e.from]?.label ?? "", plot.nodes[e.to]?.label ?? "", e.label, num(e.value)]) };
    }
}

/**
 * @param {Lines} plot
 * @param {(axis: Axis) => string} title
 */
function linesTable(plot, title) {
    const labelled = plot.series.some(({ labels }) => labels?.some((text) => text !== ""));
    const ranged = plot.series.some(({ intervals }) => intervals?.length);
    const header = ["series", ...(labelled ? ["label"] : []), title(plot.x), title(plot.y), ...(ranged ? ["from", "to"] : [])];
    const rows = plot.series.flatMap(({ name, points, labels, intervals }) =>
        points.map(([x, y], i) => {
            const [low, high] = intervals?.[i] ?? [null, null];
            return [name, ...(labelled ? [labels?.[i] ?? ""] : []), num(x), num(y), ...(ranged ? [num(low), num(high)] : [])];
        }),
    );
    return { header, rows };
}

/**
 * How a plot can be sorted: value and text.
 * @param {Plot} plot
 * @returns {[string, string][]}
 */
function sortsOf(plot) {
    switch (plot.kind) {
        case "heat_map":
            return [
                ["given", "as given"],
                ["rows", "rows by mean"],
                ["columns", "columns by mean"],
                ["both", "both by mean"],
            ];
        case "bars":
        case "box_plot":
            return [
                ["given", "as given"],
                ["value", "by value"],
            ];
        default:
            return [];
    }
}

/**
 * @param {Exclude<Plot, Passages>} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawn(plot, how) {
    switch (plot.kind) {
        case "scatter":
            return drawScatter(plot, how);
        case "heat_map":
            return drawHeatMap(plot, how);
        case "lines":
            return drawLines(plot, how);
        case "bars":
            return drawBars(plot, how);
        case "box_plot":
            return drawBoxPlot(plot, how);
        case "network":
            return drawNetwork(plot, how);
    }
}
