// Boxes in layers: everything stands below what it takes something from, near it, and lines go around boxes.

/**
 * @typedef {{ width: number, height: number }} Box
 * @typedef {{ from: number, to: number }} Edge
 * @typedef {{ width: number, height: number, places: [number, number][], routes: [number, number][][] }} Layout
 * Places are the upper left corners of the boxes; routes the points that edges go through.
 */

const GAP_X = 14;
const GAP_Y = 26;
/** Lanes for edges that skip layers; where there would be more, these edges are straight. */
const LANES = 6000;

/**
 * @param {Box[]} boxes in an order in which no edge goes back, or few do
 * @param {Edge[]} edges
 * @returns {Layout}
 */
function layered(boxes, edges) {
    const forward = edges.filter(({ from, to }) => from < to);
    const layer = new Array(boxes.length).fill(0);
    /** @type {number[][]} */
    const entering = boxes.map(() => []);
    forward.forEach(({ from, to }) => entering[to]?.push(from));
    entering.forEach((sources, to) => sources.forEach((from) => (layer[to] = Math.max(layer[to], layer[from] + 1))));
    // What nothing enters stands just above what it enters.
    for (let i = boxes.length - 1; i >= 0; i--) {
        const below = forward.filter(({ from }) => from === i).map(({ to }) => layer[to]);
        if (entering[i]?.length === 0 && below.length > 0) {
            layer[i] = Math.max(0, Math.min(...below) - 1);
        }
    }
    const skipped = forward.reduce((sum, { from, to }) => sum + layer[to] - layer[from] - 1, 0);
    const lanes = skipped <= LANES;
    /** @type {{ width: number, layer: number, box: number }[]} */
    const items = boxes.map((box, i) => ({ width: box.width, layer: layer[i], box: i }));
    /** @type {[number, number][]} */
    const links = [];
    const chains = edges.map(({ from, to }) => {
        const chain = [from];
        for (let at = layer[from] + 1; lanes && from < to && at < layer[to]; at++) {
            chain.push(items.length);
            items.push({ width: 4, layer: at, box: -1 });
        }
        chain.push(to);
        if (from < to) {
            chain.slice(1).forEach((b, i) => links.push([chain[i] ?? 0, b]));
        }
        return chain;
    });
    const depth = Math.max(0, ...items.map((item) => item.layer)) + 1;
    /** @type {number[][]} */
    const rows = Array.from({ length: depth }, () => []);
    items.forEach((item, i) => rows[item.layer]?.push(i));
    /** @type {number[][]} */
    const above = items.map(() => []);
    /** @type {number[][]} */
    const below = items.map(() => []);
    links.forEach(([a, b]) => (below[a]?.push(b), above[b]?.push(a)));
    ordered(rows, above, below);
    const x = placed(rows, above, below, items.map((item) => item.width));

    const heights = rows.map((row) => Math.max(0, ...row.map((i) => boxes[items[i]?.box ?? -1]?.height ?? 0)));
    const tops = heights.map((_, i) => heights.slice(0, i).reduce((sum, height) => sum + height + GAP_Y, 0));
    const left = Math.min(0, ...items.map((item, i) => (x[i] ?? 0) - item.width / 2));
    const right = Math.max(1, ...items.map((item, i) => (x[i] ?? 0) + item.width / 2));
    const middle = (/** @type {number} */ i) => {
        const item = items[i];
        const row = item?.layer ?? 0;
        return (tops[row] ?? 0) + (heights[row] ?? 0) / 2;
    };
    const places = boxes.map((box, i) => /** @type {[number, number]} */ ([(x[i] ?? 0) - left - box.width / 2, middle(i) - box.height / 2]));
    const routes = chains.map((chain) =>
        chain.flatMap((i, at) => {
            const px = (x[i] ?? 0) - left;
            const box = boxes[items[i]?.box ?? -1];
            if (!box) {
                const row = items[i]?.layer ?? 0;
                return /** @type {[number, number][]} */ ([[px, tops[row] ?? 0], [px, (tops[row] ?? 0) + (heights[row] ?? 0)]]);
            }
            return /** @type {[number, number][]} */ ([[px, middle(i) + (at === 0 ? box.height / 2 : -box.height / 2)]]);
        }),
    );
    return { width: right - left, height: (tops[depth - 1] ?? 0) + (heights[depth - 1] ?? 0), places, routes };
}

/**
 * Orders rows so that few edges cross: each item goes to the mean place of its neighbours, down and up in turns.
 * @param {number[][]} rows
 * @param {number[][]} above
 * @param {number[][]} below
 */
function ordered(rows, above, below) {
    /** @type {number[]} */
    const place = [];
    const number = () => rows.forEach((row) => row.forEach((item, i) => (place[item] = i)));
    number();
    for (let sweep = 0; sweep < 6; sweep++) {
        const down = sweep % 2 === 0;
        for (const row of down ? rows : [...rows].reverse()) {
            const wish = new Map(row.map((item) => {
                const near = (down ? above : below)[item] ?? [];
                return [item, near.length > 0 ? near.reduce((sum, n) => sum + (place[n] ?? 0), 0) / near.length : (place[item] ?? 0)];
            }));
            row.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0) || a - b);
            row.forEach((item, i) => (place[item] = i));
        }
    }
}

/**
 * Middles of items: as near to their neighbours as the order and the widths of a row allow.
 * @param {number[][]} rows
 * @param {number[][]} above
 * @param {number[][]} below
 * @param {number[]} widths
 */
function placed(rows, above, below, widths) {
    /** @type {number[]} */
    const x = [];
    for (const row of rows) {
        let at = 0;
        row.forEach((item) => ((x[item] = at + (widths[item] ?? 0) / 2), (at += (widths[item] ?? 0) + GAP_X)));
        row.forEach((item) => (x[item] = (x[item] ?? 0) - at / 2));
    }
    for (let sweep = 0; sweep < 8; sweep++) {
        const down = sweep % 2 === 0;
        for (const row of down ? rows : [...rows].reverse()) {
            const wishes = row.map((item) => {
                const near = [...(above[item] ?? []), ...(sweep > 1 ? (below[item] ?? []) : down ? [] : (below[item] ?? []))];
                return near.length > 0 ? near.reduce((sum, n) => sum + (x[n] ?? 0), 0) / near.length : (x[item] ?? 0);
            });
            apart(row, wishes, widths).forEach((at, i) => (x[row[i] ?? 0] = at));
        }
    }
    return x;
}

/**
 * The places nearest to what is wished, in the least-squares sense, at which nothing overlaps (pool adjacent violators).
 * @param {number[]} row
 * @param {number[]} wishes
 * @param {number[]} widths
 */
function apart(row, wishes, widths) {
    const offsets = [0];
    for (let i = 1; i < row.length; i++) {
        offsets.push((offsets[i - 1] ?? 0) + ((widths[row[i - 1] ?? 0] ?? 0) + (widths[row[i] ?? 0] ?? 0)) / 2 + GAP_X);
    }
    /** @type {{ sum: number, n: number }[]} */
    const pools = [];
    row.forEach((_, i) => {
        let pool = { sum: (wishes[i] ?? 0) - (offsets[i] ?? 0), n: 1 };
        for (let last = pools.at(-1); last && last.sum / last.n > pool.sum / pool.n; last = pools.at(-1)) {
            pool = { sum: pool.sum + last.sum, n: pool.n + last.n };
            pools.pop();
        }
        pools.push(pool);
    });
    return pools.flatMap(({ sum, n }) => Array.from({ length: n }, () => sum / n)).map((base, i) => base + (offsets[i] ?? 0));
}
