// A matrix of colours.

/** Cells beyond which they are pixels of an image instead of shapes. */
const CELLS_AS_SHAPES = 1600;

/**
 * @param {HeatMap} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawHeatMap(plot, how) {
    const { ink, view, sort } = how;
    const [nr, nc] = [plot.rows.length, plot.columns.length];
    const value = (/** @type {number} */ r, /** @type {number} */ c) => num(plot.values[r * nc + c]);
    const mean = (/** @type {number[]} */ numbers) => {
        const known = numbers.filter(Number.isFinite);
        return known.length > 0 ? known.reduce((a, b) => a + b, 0) / known.length : NaN;
    };
    const rowOrder = orderOf(nr, (r) => mean(plot.columns.map((_, c) => value(r, c))), sort === "rows" || sort === "both");
    const columnOrder = orderOf(nc, (c) => mean(plot.rows.map((_, r) => value(r, c))), sort === "columns" || sort === "both");
    const [c0, c1] = [Math.floor(view[0] * nc), Math.max(Math.floor(view[0] * nc) + 1, Math.ceil(view[2] * nc))];
    const [r0, r1] = [Math.floor(view[1] * nr), Math.max(Math.floor(view[1] * nr) + 1, Math.ceil(view[3] * nr))];
    const rows = rowOrder.slice(r0, r1);
    const columns = columnOrder.slice(c0, c1);
    const range = plot.scale.range ? /** @type {[number, number]} */ ([num(plot.scale.range[0]), num(plot.scale.range[1])]) : (extent(plot.values.map(num)) ?? [0, 1]);
    const scale = colourScale(range, plot.diverging);

    const widest = Math.min(150, Math.max(12, ...rows.map((r) => measured(plot.rows[r] ?? ""))));
    const groups = plot.row_groups.length > 0 && sort !== "rows" && sort !== "both" ? 14 : 0;
    const left = Math.ceil(widest) + 28 + groups;
    const right = 74;
    const room = Math.max(60, how.width - left - right);
    const texts = plot.texts && plot.texts.length > 0 ? plot.texts : null;
    const most = texts ? 150 : nr <= 40 && nc <= 40 ? 34 : 1e9;
    const side = Math.min(most, room / columns.length);
    const tall = Math.min(texts ? 24 : Math.max(side, Math.min(16, 460 / rows.length)), 560 / rows.length);
    const longest = Math.min(110, Math.max(0, ...columns.map((c) => measured(plot.columns[c] ?? ""))));
    const turned = longest > side - 4;
    const top = (turned ? longest * (side < 14 ? 1 : 0.75) + 14 : 20) + 18;
    const [w, hh] = [side * columns.length, tall * rows.length];
    /** @type {[number, number, number, number]} */
    const area = [left, top, w, hh];

    /** @type {Node[]} */
    const parts = [s("defs", null, s("pattern", { id: `hatch-${clips}`, width: 5, height: 5, patternUnits: "userSpaceOnUse" }, s("rect", { width: 5, height: 5, fill: ink.missing }), s("path", { d: "M0 5L5 0", stroke: ink.axis, "stroke-width": 0.6 })))];
    const hatch = `url(#hatch-${clips++})`;
    if (rows.length * columns.length <= CELLS_AS_SHAPES) {
        rows.forEach((r, i) =>
            columns.forEach((c, j) => {
                const x = value(r, c);
                const [px, py] = [left + j * side, top + i * tall];
                const fill = Number.isNaN(x) ? hatch : css(scale.at(x));
                parts.push(s("rect", { x: px.toFixed(2), y: py.toFixed(2), width: side.toFixed(2), height: tall.toFixed(2), fill, stroke: css(ink.paper), "stroke-width": side > 8 ? 0.5 : 0 }));
                const text = texts?.[r * nc + c];
                if (text && side > 16) {
                    parts.push(label(px + side / 2, py + tall / 2 + 4, fitted(text, side - 4, 10), { "text-anchor": "middle", "font-size": 10, fill: Number.isNaN(x) ? ink.text : readableOn(scale.at(x)) }));
                }
            }),
        );
    } else {
        parts.push(cellsAsImage(rows, columns, (r, c) => value(r, c), scale.at, ink, area));
    }
    const every = (/** @type {number} */ size, /** @type {number} */ room) => Math.max(1, Math.ceil(room / size));
    rows.forEach((r, i) => i % every(tall, 11) === 0 && parts.push(label(left - 5, top + (i + 0.5) * tall + 4, fitted(plot.rows[r] ?? "", 150), { "text-anchor": "end", fill: ink.soft })));
    columns.forEach((c, j) => {
        if (j % every(side, turned ? 11 : 8) !== 0) {
            return;
        }
        const x = left + (j + 0.5) * side;
        const text = fitted(plot.columns[c] ?? "", 110);
        parts.push(turned ? label(0, 0, text, { transform: `translate(${x + 3} ${top - 6}) rotate(${side < 14 ? -90 : -48})`, fill: ink.soft }) : label(x, top - 6, text, { "text-anchor": "middle", fill: ink.soft }));
    });
    parts.push(label(left + w / 2, 12, fitted(plot.column_axis, Math.max(w, 200)), { "text-anchor": "middle" }));
    parts.push(label(0, 0, fitted(plot.row_axis, Math.max(hh, 80)), { transform: `translate(12 ${top + hh / 2}) rotate(-90)`, "text-anchor": "middle" }));
    if (sort === "given" && r0 === 0 && r1 === nr) {
        let row = 0;
        for (const [name, n] of plot.row_groups) {
            const y = top + row * tall;
            parts.push(s("line", { x1: left - widest - 8, x2: left + w, y1: y, y2: y, stroke: ink.axis, "stroke-width": row > 0 ? 0.8 : 0 }));
            const rest = Math.min(n, nr - row) * tall;
            if (rest > 12) {
                parts.push(label(0, 0, fitted(name, rest), { transform: `translate(${left - widest - 12} ${y + rest / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": 9.5, fill: ink.soft }));
            }
            row += n;
        }
    }
    if (sort === "given" && c0 === 0 && c1 === nc) {
        let column = 0;
        for (const [, n] of plot.column_groups) {
            const x = left + column * side;
            parts.push(s("line", { x1: x, x2: x, y1: top, y2: top + hh, stroke: ink.axis, "stroke-width": column > 0 ? 0.8 : 0 }));
            column += n;
        }
    }
    parts.push(...scaleBar(left + w + 16, top, Math.max(80, Math.min(hh, 200)), scale, plot.scale, plot.diverging, ink));

    const rowKeys = plot.rows.map((name) => keyOnAxis(plot.row_axis, name));
    const columnKeys = plot.columns.map((name) => keyOnAxis(plot.column_axis, name));
    return {
        svg: picture(Math.max(how.width, left + w + right), Math.max(top + hh + 12, top + 110), how, ...parts),
        marks: rows.length * columns.length,
        mark: (i) => {
            const [y, x] = [Math.floor(i / columns.length), i % columns.length];
            const [r, c] = [rows[y] ?? 0, columns[x] ?? 0];
            /** @type {[string, string][]} */
            const lines = [
                [plot.row_axis, plot.rows[r] ?? ""],
                [plot.column_axis, plot.columns[c] ?? ""],
                [plot.scale.label, withUnit(value(r, c), plot.scale.unit)],
            ];
            const text = texts?.[r * nc + c];
            return { title: text ?? `${plot.rows[r]}, ${plot.columns[c]}`, lines, key: joinedKey(rowKeys[r] ?? null, columnKeys[c] ?? null), box: [left + x * side, top + y * tall, side, tall], round: false };
        },
        at: (x, y) => {
            const [i, j] = [Math.floor((y - top) / tall), Math.floor((x - left) / side)];
            return i >= 0 && i < rows.length && j >= 0 && j < columns.length ? i * columns.length + j : -1;
        },
        legend: null,
        area,
    };
}

/**
 * Many cells as one image, a pixel each.
 * @param {number[]} rows
 * @param {number[]} columns
 * @param {(r: number, c: number) => number} value
 * @param {(x: number) => Rgb} colour
 * @param {Ink} ink
 * @param {[number, number, number, number]} area
 */
function cellsAsImage(rows, columns, value, colour, ink, [x, y, width, height]) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [columns.length, rows.length];
    const context = canvas.getContext("2d");
    if (context) {
        const image = context.createImageData(columns.length, rows.length);
        const missing = rgb(ink.missing.slice(1));
        let i = 0;
        for (const r of rows) {
            for (const c of columns) {
                const v = value(r, c);
                const [red, green, blue] = Number.isNaN(v) ? missing : colour(v);
                image.data.set([red, green, blue, 255], i);
                i += 4;
            }
        }
        context.putImageData(image, 0, 0);
    }
    return s("image", { x, y, width, height, href: canvas.toDataURL(), preserveAspectRatio: "none", "image-rendering": "pixelated" });
}

/**
 * What the colours mean.
 * @param {number} x
 * @param {number} y
 * @param {number} height
 * @param {{ least: number, most: number, at: (x: number) => Rgb }} scale
 * @param {Axis} axis
 * @param {boolean} diverging
 * @param {Ink} ink
 */
function scaleBar(x, y, height, scale, axis, diverging, ink) {
    const steps = 40;
    const colour = (/** @type {number} */ i) => css(scale.at(scale.most + ((scale.least - scale.most) * (i + 0.5)) / steps));
    const marks = scale.most > scale.least ? ticks(scale.least, scale.most, height / 40, axis.whole) : [scale.least];
    const at = (/** @type {number} */ v) => y + height * (1 - (v - scale.least) / (scale.most - scale.least || 1));
    return [
        ...Array.from({ length: steps }, (_, i) => s("rect", { x, y: y + (height * i) / steps, width: 11, height: height / steps + 0.5, fill: colour(i) })),
        ...marks.map((v) => label(x + 15, at(v) + 4, short(v, 3), { fill: ink.soft, "font-size": 10 })),
        label(0, 0, fitted(axisTitle(axis.label, axis.unit), Math.max(height, 150), 10), { transform: `translate(${x + 54} ${y + height / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": 10 }),
        ...(diverging ? [s("line", { x1: x, x2: x + 11, y1: at(0), y2: at(0), stroke: ink.axis, "stroke-width": 0.6 })] : []),
    ];
}
