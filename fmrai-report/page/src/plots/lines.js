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
    const xAll = rangeOf(plot.x, all.map(([x]) => x ?? NaN), false, plot.series.some((series) => series.mark !== "line"));
    const ends = plot.series.flatMap((series) => (series.intervals ?? []).flatMap(([low, high]) => [num(low), num(high)]));
    const yAll = rangeOf(plot.y, [...all.map(([, y]) => y ?? NaN), ...ends, ...plot.references.map(([, y]) => num(y))], false, true);
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
    /** @type {{ series: number, x: number, y: number, label: string, interval: [number, number] | null }[]} */
    const marks = [];
    const dashes = ["", "6 3", "2 3", "8 3 2 3"];
    plot.series.forEach((series, i) => {
        if (how.hidden.has(i)) {
            return;
        }
        const colour = css(colours[i] ?? [0, 0, 0]);
        const points = series.points.map(([x, y]) => [num(x), num(y)]);
        points.forEach(([x = NaN, y = NaN], p) => {
            if (!Number.isFinite(x) || !Number.isFinite(y)) {
                return;
            }
            const [low, high] = (series.intervals?.[p] ?? []).map(num);
            const interval = /** @type {[number, number] | null} */ (low !== undefined && high !== undefined && Number.isFinite(low) && Number.isFinite(high) ? [low, high] : null);
            marks.push({ series: i, x, y, label: series.labels?.[p] ?? "", interval });
            if (interval) {
                const [[px, py1], [, py2]] = [at(x, interval[0]), at(x, interval[1])];
                parts.push(s("path", { d: `M${px.toFixed(1)} ${py1.toFixed(1)}V${py2.toFixed(1)}M${(px - 3).toFixed(1)} ${py1.toFixed(1)}h6M${(px - 3).toFixed(1)} ${py2.toFixed(1)}h6`, fill: "none", stroke: colour, "stroke-width": 1.2 }));
            }
        });
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
        if (series.mark === "levels") {
            const different = [...new Set(points.map(([x = NaN]) => at(x, 0)[0]).filter(Number.isFinite))].sort((a, b) => a - b);
            const apart = Math.min(...different.slice(1).map((x, p) => x - (different[p] ?? 0)), 45);
            const half = apart * 0.36;
            const d = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).map(([x = 0, y = 0]) => at(x, y)).map(([px, py]) => `M${(px - half).toFixed(1)} ${py.toFixed(1)}h${(2 * half).toFixed(1)}`);
            parts.push(s("path", { d: d.join(""), fill: "none", stroke: colour, "stroke-width": 2 }));
        } else if (series.mark === "points" || points.length <= 60) {
            const d = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).map(([x = 0, y = 0]) => sign(i, ...at(x, y), series.mark === "points" ? 3.6 : 2.6));
            parts.push(s("path", { d: d.join(""), fill: colour, stroke: css(ink.paper), "stroke-width": 0.6 }));
        }
    });
    const references = referenceLines(plot.references, area, (y) => at(xs[0], y)[1], ink);
    return {
        svg: picture(how.width, top + hh + 40, how, ...axisBelow(area, xs, plot.x, ink), ...axisLeft(area, ys, plot.y, ink), clipped(area, [...references, ...parts])),
        marks: marks.length,
        mark: (i) => {
            const m = marks[i] ?? { series: 0, x: NaN, y: NaN, label: "", interval: null };
            const [x, y] = at(m.x, m.y);
            const name = plot.series[m.series]?.name ?? "";
            return {
                title: m.label || name || plot.y.label,
                lines: [
                    [plot.x.label, withUnit(m.x, plot.x.unit)],
                    [plot.y.label, withUnit(m.y, plot.y.unit)],
                    .../** @type {[string, string][]} */ (m.interval ? [["interval", `${withUnit(m.interval[0], null)} to ${withUnit(m.interval[1], plot.y.unit)}`]] : []),
                ],
                key: keyOfLabel(m.label) ?? joinedKey(keyOfLabel(name), Number.isInteger(m.x) ? keyOnAxis(plot.x.label, String(m.x)) : null),
                box: [x - 4, y - 4, 8, 8],
                round: true,
            };
        },
        at: (x, y) => nearest(marks.length, (i) => at(marks[i]?.x ?? NaN, marks[i]?.y ?? NaN), x, y, 24),
        legend: plot.series.length > 1 || plot.series[0]?.name ? { title: "", entries: plot.series.map(({ name }, place) => ({ name, colour: css(colours[place] ?? [0, 0, 0]), place })) } : null,
        area,
    };
}
