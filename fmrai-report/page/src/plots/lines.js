// Lines or points over a common axis.

/**
 * @param {Lines} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawLines(plot, how) {
    const { ink, view } = how;
    const colours = markColours(plot.series.length, false, ink);
    const all = plot.series.flatMap((series) => series.points.map(([x, y]) => [num(x), num(y)]));
    const xAll = rangeOf(plot.x, all.map(([x]) => x ?? NaN), false, plot.series.some((series) => series.mark === "points"));
    const yAll = rangeOf(plot.y, [...all.map(([, y]) => y ?? NaN), ...plot.references.map(([, y]) => num(y))], false, true);
    const top = 10;
    const left = leftMargin(yAll, plot.y, 300);
    const w = how.width - left - 14;
    const hh = Math.round(Math.min(340, Math.max(190, w * 0.5)));
    /** @type {[number, number, number, number]} */
    const area = [left, top, w, hh];
    const xs = part(xAll, view[0], view[2]);
    const ys = part(yAll, 1 - view[3], 1 - view[1]);
    const at = (/** @type {number} */ x, /** @type {number} */ y) => /** @type {[number, number]} */ ([left + ((x - xs[0]) / (xs[1] - xs[0])) * w, top + hh - ((y - ys[0]) / (ys[1] - ys[0])) * hh]);
    /** @type {Node[]} */
    const parts = [];
    /** @type {{ series: number, x: number, y: number }[]} */
    const marks = [];
    const dashes = ["", "6 3", "2 3", "8 3 2 3"];
    plot.series.forEach((series, i) => {
        if (how.hidden.has(i)) {
            return;
        }
        const colour = css(colours[i] ?? [0, 0, 0]);
        const points = series.points.map(([x, y]) => [num(x), num(y)]);
        points.forEach(([x = NaN, y = NaN]) => Number.isFinite(x) && Number.isFinite(y) && marks.push({ series: i, x, y }));
        if (series.mark === "line") {
            let d = "";
            let pen = "M";
            for (const [x = NaN, y = NaN] of points) {
                if (!Number.isFinite(x) || !Number.isFinite(y)) {
                    pen = "M";
                    continue;
                }
                const [px, py] = at(x, y);
                d += `${pen}${px.toFixed(1)} ${py.toFixed(1)}`;
                pen = "L";
            }
            parts.push(s("path", { d, fill: "none", stroke: colour, "stroke-width": 2, "stroke-linejoin": "round", "stroke-dasharray": dashes[Math.floor(i / QUALITATIVE.length) % 4] || undefined }));
        }
        if (series.mark === "points" || points.length <= 60) {
            const d = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).map(([x = 0, y = 0]) => sign(i, ...at(x, y), series.mark === "points" ? 3.6 : 2.6));
            parts.push(s("path", { d: d.join(""), fill: colour, stroke: css(ink.paper), "stroke-width": 0.6 }));
        }
    });
    const references = plot.references.map(([name, y], i) => {
        const [, py] = at(xs[0], num(y));
        return s("g", null, s("line", { x1: left, x2: left + w, y1: py, y2: py, stroke: ink.soft, "stroke-dasharray": i % 2 ? "2 3" : "6 4" }), label(left + w - 4, py - 4 < top + 8 ? py + 12 : py - 4, name, { "text-anchor": "end", fill: ink.soft, "font-size": 10 }));
    });
    return {
        svg: picture(how.width, top + hh + 40, how, ...axisBelow(area, xs, plot.x, ink), ...axisLeft(area, ys, plot.y, ink), clipped(area, [...references, ...parts])),
        marks: marks.length,
        mark: (i) => {
            const m = marks[i] ?? { series: 0, x: NaN, y: NaN };
            const [x, y] = at(m.x, m.y);
            const name = plot.series[m.series]?.name ?? "";
            return {
                title: name || plot.y.label,
                lines: [
                    [plot.x.label, withUnit(m.x, plot.x.unit)],
                    [plot.y.label, withUnit(m.y, plot.y.unit)],
                ],
                key: joinedKey(keyOfLabel(name), Number.isInteger(m.x) ? keyOnAxis(plot.x.label, String(m.x)) : null),
                box: [x - 4, y - 4, 8, 8],
                round: true,
            };
        },
        at: (x, y) => nearest(marks.length, (i) => at(marks[i]?.x ?? NaN, marks[i]?.y ?? NaN), x, y, 24),
        legend: plot.series.length > 1 || plot.series[0]?.name ? { title: "", entries: plot.series.map(({ name }, place) => ({ name, colour: css(colours[place] ?? [0, 0, 0]), place })) } : null,
        area,
    };
}
