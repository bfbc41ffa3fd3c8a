// Bars, grouped by category, and five-number summaries.

/**
 * @param {Bars} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawBars(plot, how) {
    const { ink, view } = how;
    const colours = markColours(plot.groups.length, false, ink);
    const groups = plot.groups.map(([name, values], place) => ({ name, values: values.map(num), place })).filter(({ place }) => !how.hidden.has(place));
    const n = plot.categories.length;
    const total = (/** @type {number} */ i) => groups.reduce((sum, { values }) => sum + (Number.isFinite(values[i]) ? (values[i] ?? 0) : 0), 0);
    const order = orderOf(n, total, how.sort === "value");
    const [from, to] = [view[0] * n, view[2] * n];
    const stacks = (/** @type {number} */ i) => {
        let [up, down] = [0, 0];
        groups.forEach(({ values }) => (values[i] ?? 0) >= 0 ? (up += values[i] || 0) : (down += values[i] || 0));
        return [up, down];
    };
    const heights = plot.stacked ? plot.categories.flatMap((_, i) => stacks(i)) : groups.flatMap(({ values }) => values);
    const ys = rangeOf(plot.y, heights, true, true);
    const top = 10;
    const left = leftMargin(ys, plot.y, 280);
    const w = how.width - left - 12;
    const hh = Math.round(Math.min(320, Math.max(180, w * 0.45)));
    /** @type {[number, number, number, number]} */
    const area = [left, top, w, hh];
    const step = w / (to - from);
    const middle = (/** @type {number} */ place) => left + (place + 0.5 - from) * step;
    const at = (/** @type {number} */ v) => top + hh - ((v - ys[0]) / (ys[1] - ys[0])) * hh;
    const names = order.map((i) => plot.categories[i] ?? "");
    /** @type {{ group: number, category: number, box: [number, number, number, number] }[]} */
    const marks = [];
    order.forEach((i, place) => {
        if (place + 1 <= from || place >= to) {
            return;
        }
        const width = (step * 0.78) / (plot.stacked ? 1 : Math.max(1, groups.length));
        let [up, down] = [0, 0];
        groups.forEach(({ values, place: group }, g) => {
            const v = values[i] ?? NaN;
            if (!Number.isFinite(v)) {
                return;
            }
            const base = plot.stacked ? (v >= 0 ? up : down) : 0;
            if (v >= 0) {
                up += v;
            } else {
                down += v;
            }
            const [y1, y2] = [at(base), at(base + v)];
            const x = middle(place) - step * 0.39 + (plot.stacked ? 0 : g * width);
            marks.push({ group, category: i, box: [x, Math.min(y1, y2), Math.max(width - (plot.stacked ? 0 : 0.5), 0.5), Math.max(Math.abs(y2 - y1), 0.75)] });
        });
    });
    const below = categoriesBelow(area, names, middle, step, plot.category_axis, ink);
    return {
        svg: picture(how.width, top + hh + below.height, how, ...axisLeft(area, ys, plot.y, ink), clipped(area, marks.map(({ group, box: [x, y, width, height] }) => s("rect", { x, y, width, height, fill: css(colours[group] ?? [0, 0, 0]) }))), s("line", { x1: left, x2: left + w, y1: at(0), y2: at(0), stroke: ink.axis }), ...below.parts),
        marks: marks.length,
        mark: (i) => {
            const m = marks[i] ?? { group: 0, category: 0, box: /** @type {[number, number, number, number]} */ ([0, 0, 0, 0]) };
            const [name, values] = plot.groups[m.group] ?? ["", []];
            const category = plot.categories[m.category] ?? "";
            /** @type {[string, string][]} */
            const lines = [
                [plot.category_axis, category],
                [plot.y.label, withUnit(num(values[m.category]), plot.y.unit)],
            ];
            return { title: name || category, lines, key: joinedKey(keyOnAxis(plot.category_axis, category), keyOfLabel(name)), box: m.box, round: false };
        },
        at: (x, y) => {
            const hit = marks.findIndex(({ box: [bx, by, bw, bh] }) => x >= bx && x <= bx + bw && y >= by - 3 && y <= by + bh + 3);
            return hit >= 0 ? hit : y >= top && y <= top + hh ? marks.findIndex(({ box: [bx, , bw] }) => x >= bx && x <= bx + bw) : -1;
        },
        legend: plot.groups.length > 1 || plot.groups[0]?.[0] ? { title: "", entries: plot.groups.map(([name], place) => ({ name, colour: css(colours[place] ?? [0, 0, 0]), place })) } : null,
        area,
    };
}

/**
 * @param {BoxPlot} plot
 * @param {Drawing} how
 * @returns {Drawn}
 */
function drawBoxPlot(plot, how) {
    const { ink, view } = how;
    const n = plot.categories.length;
    const boxes = plot.boxes.map((box) => box.map(num));
    const order = orderOf(n, (i) => boxes[i]?.[2] ?? NaN, how.sort === "value");
    const [from, to] = [view[0] * n, view[2] * n];
    const ys = rangeOf(plot.y, [...boxes.flat(), ...(plot.references ?? []).map(([, y]) => num(y))], false, true);
    const top = 10;
    const left = leftMargin(ys, plot.y, 280);
    const w = how.width - left - 12;
    const hh = Math.round(Math.min(320, Math.max(180, w * 0.45)));
    /** @type {[number, number, number, number]} */
    const area = [left, top, w, hh];
    const step = w / (to - from);
    const middle = (/** @type {number} */ place) => left + (place + 0.5 - from) * step;
    const at = (/** @type {number} */ v) => top + hh - ((v - ys[0]) / (ys[1] - ys[0])) * hh;
    const colour = css(markColours(1, false, ink)[0] ?? [0, 0, 0]);
    const wide = Math.min(46, step * 0.6);
    /** @type {Node[]} */
    const parts = [];
    order.forEach((i, place) => {
        const [least = NaN, lower = NaN, median = NaN, upper = NaN, most = NaN] = boxes[i] ?? [];
        if (![least, lower, median, upper, most].every(Number.isFinite)) {
            return;
        }
        const x = middle(place);
        const line = (/** @type {number} */ x1, /** @type {number} */ y1, /** @type {number} */ x2, /** @type {number} */ y2, width = 1.2) => s("line", { x1, y1, x2, y2, stroke: ink.axis, "stroke-width": width });
        parts.push(line(x, at(least), x, at(lower)), line(x, at(upper), x, at(most)), line(x - wide / 4, at(least), x + wide / 4, at(least)), line(x - wide / 4, at(most), x + wide / 4, at(most)));
        parts.push(s("rect", { x: x - wide / 2, y: at(upper), width: wide, height: Math.max(0.75, at(lower) - at(upper)), fill: colour, "fill-opacity": 0.35, stroke: colour }));
        parts.push(s("line", { x1: x - wide / 2, x2: x + wide / 2, y1: at(median), y2: at(median), stroke: ink.text, "stroke-width": 2 }));
    });
    const below = categoriesBelow(area, order.map((i) => plot.categories[i] ?? ""), middle, step, plot.category_axis, ink);
    return {
        svg: picture(how.width, top + hh + below.height, how, ...axisLeft(area, ys, plot.y, ink), clipped(area, [...parts, ...referenceLines(plot.references ?? [], area, at, ink)]), ...below.parts),
        marks: n,
        mark: (place) => {
            const i = order[place] ?? 0;
            const box = boxes[i] ?? [];
            const names = ["least", "lower quartile", "median", "upper quartile", "most"];
            const category = plot.categories[i] ?? "";
            return {
                title: `${plot.category_axis} ${category}`,
                lines: names.map((name, j) => [name, withUnit(box[j] ?? NaN, plot.y.unit)]),
                key: keyOnAxis(plot.category_axis, category),
                box: [middle(place) - wide / 2, at(box[4] ?? NaN), wide, at(box[0] ?? NaN) - at(box[4] ?? NaN)],
                round: false,
            };
        },
        at: (x, y) => {
            const place = Math.floor((x - left) / step + from);
            return x >= left && x <= left + w && y >= top && y <= top + hh && place >= 0 && place < n ? place : -1;
        },
        legend: null,
        area,
    };
}
