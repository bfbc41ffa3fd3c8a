// Points in a plane.

/**
 * @param {Scatter} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawScatter(plot, how) {
    const { ink, view } = how;
    const colours = markColours(plot.colours.entries.length, plot.colours.ordered, ink);
    const points = plot.points.filter((p) => !how.hidden.has(p.colour) && Number.isFinite(num(p.x)) && Number.isFinite(num(p.y)));
    let xAll = rangeOf(plot.x, plot.points.map((p) => num(p.x)), false, true);
    let yAll = rangeOf(plot.y, plot.points.map((p) => num(p.y)), false, true);
    const top = 10;
    const left = leftMargin(yAll, plot.y, 300);
    const w = how.width - left - 12;
    let hh = Math.round(Math.min(460, Math.max(240, w * 0.72)));
    if (plot.equal_aspect) {
        const scale = Math.max((xAll[1] - xAll[0]) / w, (yAll[1] - yAll[0]) / hh);
        hh = Math.max(160, Math.min(hh, Math.ceil((yAll[1] - yAll[0]) / scale)));
        const wide = (range = xAll, size = w) => {
            const middle = (range[0] + range[1]) / 2;
            return /** @type {[number, number]} */ ([middle - (scale * size) / 2, middle + (scale * size) / 2]);
        };
        [xAll, yAll] = [wide(xAll, w), wide(yAll, hh)];
    }
    /** @type {[number, number, number, number]} */
    const area = [left, top, w, hh];
    const xs = part(xAll, view[0], view[2]);
    const ys = part(yAll, 1 - view[3], 1 - view[1]);
    const place = (/** @type {number} */ i) => {
        const p = points[i];
        return /** @type {[number, number]} */ ([left + ((num(p?.x) - xs[0]) / (xs[1] - xs[0])) * w, top + hh - ((num(p?.y) - ys[0]) / (ys[1] - ys[0])) * hh]);
    };
    const radius = points.length > 3000 ? 2 : points.length > 400 ? 3 : 5;
    // One path a colour and shape: twenty thousand points are a few elements.
    /** @type {Map<string, { colour: string, d: string[] }>} */
    const paths = new Map();
    points.forEach((p, i) => {
        const name = `${p.colour} ${plot.shapes ? p.shape : 0}`;
        const path = paths.get(name) ?? { colour: css(colours[p.colour] ?? [128, 128, 128]), d: [] };
        path.d.push(sign(plot.shapes ? p.shape : 0, ...place(i), radius));
        paths.set(name, path);
    });
    const labels = points.length <= 400 ? pointLabels(points.map((p, i) => ({ text: p.label, at: place(i) })), area, radius, ink) : [];
    const shapes = plot.shapes && plot.shapes.entries.length > 1 ? shapesLegend(plot.shapes, left, top + hh + 54, how.width, ink) : null;
    return {
        svg: picture(how.width, top + hh + 40 + (shapes?.height ?? 0), how, ...(shapes?.parts ?? []), ...axisBelow(area, xs, plot.x, ink), ...axisLeft(area, ys, plot.y, ink), clipped(area, [
            ...[...paths.values()].map(({ colour, d }) => s("path", { d: d.join(""), fill: colour, stroke: css(ink.paper), "stroke-width": radius > 3 ? 0.8 : 0.3 })),
            ...labels,
        ])),
        marks: points.length,
        mark: (i) => {
            const p = points[i];
            const [x, y] = place(i);
            const entry = plot.colours.entries[p?.colour ?? 0] ?? "";
            /** @type {[string, string][]} */
            const lines = [
                [plot.x.label, withUnit(num(p?.x), plot.x.unit)],
                [plot.y.label, withUnit(num(p?.y), plot.y.unit)],
                [plot.colours.title, entry],
            ];
            if (plot.shapes) {
                lines.push([plot.shapes.title, plot.shapes.entries[p?.shape ?? 0] ?? ""]);
            }
            const key = joinedKey(keyOfLabel(p?.label ?? ""), p?.label ? null : keyOnAxis(plot.colours.title, entry));
            return { title: p?.label || entry, lines: lines.filter(([name]) => name !== ""), key, box: [x - radius, y - radius, 2 * radius, 2 * radius], round: true };
        },
        at: (x, y) => nearest(points.length, place, x, y, 14),
        legend: { title: plot.colours.title, entries: plot.colours.entries.map((name, i) => ({ name, colour: css(colours[i] ?? [0, 0, 0]), place: i })) },
        area,
    };
}

/**
 * What the shapes stand for.
 * @param {Legend} legend
 * @param {number} left
 * @param {number} y
 * @param {number} width
 * @param {Ink} ink
 */
function shapesLegend(legend, left, y, width, ink) {
    let [x, line] = [left, y];
    /** @type {Node[]} */
    const parts = [label(x, line, legend.title, { fill: ink.soft })];
    x += measured(legend.title) + 14;
    legend.entries.slice(0, 24).forEach((name, i) => {
        const wide = measured(name) + 26;
        if (x + wide > width) {
            [x, line] = [left, line + 17];
        }
        parts.push(s("path", { d: sign(i, x + 4, line - 4, 4.5), fill: ink.soft }), label(x + 13, line, name));
        x += wide;
    });
    return { parts, height: line - y + 20 };
}

/**
 * A sign around a place.
 * @param {number} shape
 * @param {number} x
 * @param {number} y
 * @param {number} r
 */
function sign(shape, x, y, r) {
    const at = (/** @type {[number, number][]} */ ...steps) => `M${steps.map(([dx, dy]) => `${(x + dx).toFixed(1)} ${(y + dy).toFixed(1)}`).join("L")}Z`;
    const q = r * 0.88;
    switch (shape % 6) {
        case 1:
            return at([-q, -q], [q, -q], [q, q], [-q, q]);
        case 2:
            return at([0, -1.2 * r], [1.1 * r, 0.9 * r], [-1.1 * r, 0.9 * r]);
        case 3:
            return at([0, -1.25 * r], [1.25 * r, 0], [0, 1.25 * r], [-1.25 * r, 0]);
        case 4:
            return at([0, 1.2 * r], [1.1 * r, -0.9 * r], [-1.1 * r, -0.9 * r]);
        case 5: {
            const [a, b] = [0.4 * r, 1.15 * r];
            return at([-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a], [-b, a], [-b, -a], [-a, -a]);
        }
        default:
            return `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
    }
}

/**
 * Labels of points where there is room for them.
 * @param {{ text: string, at: [number, number] }[]} points
 * @param {[number, number, number, number]} area
 * @param {number} radius
 * @param {Ink} ink
 */
function pointLabels(points, [x0, y0, w, hh], radius, ink) {
    /** @type {[number, number, number, number][]} */
    const taken = points.map(({ at: [x, y] }) => [x - radius, y - radius, x + radius, y + radius]);
    const parts = [];
    for (const { text, at: [x, y] } of points) {
        const wide = measured(text, 9.5);
        const places = /** @type {[number, number, number, number][]} */ ([
            [x + radius + 2, y - 5, x + radius + 2 + wide, y + 4],
            [x - radius - 2 - wide, y - 5, x - radius - 2, y + 4],
            [x - wide / 2, y - radius - 11, x + wide / 2, y - radius - 2],
            [x - wide / 2, y + radius + 2, x + wide / 2, y + radius + 11],
        ]);
        const free = text && places.find((box) => box[0] > x0 && box[2] < x0 + w && box[1] > y0 && box[3] < y0 + hh && !taken.some((t) => t[0] < box[2] && box[0] < t[2] && t[1] < box[3] && box[1] < t[3]));
        if (free) {
            taken.push(free);
            parts.push(label(free[0], free[3] - 1, text, { "font-size": 9.5, fill: ink.soft }));
        }
    }
    return parts;
}
