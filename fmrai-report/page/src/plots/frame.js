// What all plots with axes have in common.

/**
 * How a plot is drawn.
 * @typedef {{
 *   width: number,
 *   ink: Ink,
 *   hidden: Set<number>,
 *   sort: string,
 *   view: View,
 *   title: string,
 *   least: number,
 * }} Drawing
 * The part of a plot that is in view: shares of its width and height, from the left and from above.
 * @typedef {[number, number, number, number]} View
 * Something that can be pointed at.
 * @typedef {{ title: string, lines: [string, string][], key: Key | null, box: [number, number, number, number], round: boolean }} Mark
 * @typedef {{ name: string, colour: string, place: number }} LegendEntry
 * @typedef {{
 *   svg: SVGSVGElement,
 *   marks: number,
 *   mark: (i: number) => Mark,
 *   at: (x: number, y: number) => number,
 *   legend: { title: string, entries: LegendEntry[] } | null,
 *   area: [number, number, number, number],
 * }} Drawn
 */

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const SIZE = 11;
/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/**
 * Width of a text in pixels.
 * @param {string} text
 * @param {number} [size]
 */
function measured(text, size = SIZE) {
    ruler ??= document.createElement("canvas").getContext("2d");
    if (!ruler) {
        return text.length * size * 0.6;
    }
    ruler.font = `${size}px ${FONT}`;
    return ruler.measureText(text).width;
}

/**
 * A text, cut to a width.
 * @param {string} text
 * @param {number} width
 * @param {number} [size]
 */
function fitted(text, width, size = SIZE) {
    if (measured(text, size) <= width) {
        return text;
    }
    const letters = [...text];
    let long = letters.length;
    while (long > 1 && measured(letters.slice(0, long).join("") + "…", size) > width) {
        long = Math.min(long - 1, Math.floor(long * 0.9));
    }
    return letters.slice(0, long).join("") + "…";
}

/**
 * The picture itself; its texts say what it is to those who cannot see it.
 * @param {number} width
 * @param {number} height
 * @param {Drawing} how
 * @param {...(Node | Node[])} parts
 */
function picture(width, height, how, ...parts) {
    return s(
        "svg",
        { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": how.title, "font-family": FONT, "font-size": SIZE, fill: how.ink.text },
        ...parts,
    );
}

/**
 * @param {string} label
 * @param {string | null | undefined} unit
 */
function axisTitle(label, unit) {
    return unit ? `${label} (${unit})` : label;
}

/**
 * A text in a picture.
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {Attributes} [more]
 */
function label(x, y, text, more) {
    return s("text", { x, y, ...more }, text);
}

/**
 * A range that the data do not touch, or the one that the axis says.
 * @param {Axis} axis
 * @param {Iterable<number>} numbers
 * @param {boolean} zero whether zero has to be in it
 * @param {boolean} margin
 * @returns {[number, number]}
 */
function rangeOf(axis, numbers, zero, margin) {
    if (axis.range) {
        return [num(axis.range[0]), num(axis.range[1])];
    }
    const found = extent(numbers) ?? [0, 1];
    let [least, most] = zero ? [Math.min(0, found[0]), Math.max(0, found[1])] : found;
    if (least === most) {
        [least, most] = [least - Math.abs(least || 1) / 2, most + Math.abs(most || 1) / 2];
    }
    const more = margin ? (most - least) * 0.05 : 0;
    return [zero && least === 0 ? 0 : least - more, zero && most === 0 ? 0 : most + more];
}

/**
 * The part of a range that is in view.
 * @param {[number, number]} range
 * @param {number} from share
 * @param {number} to share
 * @returns {[number, number]}
 */
function part([least, most], from, to) {
    return [least + (most - least) * from, least + (most - least) * to];
}

/**
 * A horizontal axis below an area, with its grid.
 * @param {[number, number, number, number]} area
 * @param {[number, number]} range
 * @param {Axis} axis
 * @param {Ink} ink
 */
function axisBelow([x, y, w, hh], range, axis, ink) {
    const at = (/** @type {number} */ v) => x + ((v - range[0]) / (range[1] - range[0])) * w;
    const marks = ticks(range[0], range[1], w / 70, axis.whole);
    return [
        ...marks.map((v) => s("line", { x1: at(v), x2: at(v), y1: y, y2: y + hh, stroke: ink.grid })),
        ...marks.map((v) => label(at(v), y + hh + 15, short(v), { "text-anchor": "middle", fill: ink.soft })),
        s("line", { x1: x, x2: x + w, y1: y + hh, y2: y + hh, stroke: ink.axis }),
        label(x + w / 2, y + hh + 32, axisTitle(axis.label, axis.unit), { "text-anchor": "middle" }),
    ];
}

/**
 * A vertical axis left of an area, with its grid.
 * @param {[number, number, number, number]} area
 * @param {[number, number]} range
 * @param {Axis} axis
 * @param {Ink} ink
 */
function axisLeft([x, y, w, hh], range, axis, ink) {
    const at = (/** @type {number} */ v) => y + hh - ((v - range[0]) / (range[1] - range[0])) * hh;
    const marks = ticks(range[0], range[1], hh / 45, axis.whole);
    return [
        ...marks.map((v) => s("line", { x1: x, x2: x + w, y1: at(v), y2: at(v), stroke: ink.grid })),
        ...marks.map((v) => label(x - 6, at(v) + 4, short(v), { "text-anchor": "end", fill: ink.soft })),
        s("line", { x1: x, x2: x, y1: y, y2: y + hh, stroke: ink.axis }),
        label(0, 0, fitted(axisTitle(axis.label, axis.unit), hh + 60), { transform: `translate(13 ${y + hh / 2}) rotate(-90)`, "text-anchor": "middle" }),
    ];
}

/**
 * Room for the numbers of a vertical axis.
 * @param {[number, number]} range
 * @param {Axis} axis
 * @param {number} height
 */
function leftMargin(range, axis, height) {
    const widest = Math.max(...ticks(range[0], range[1], height / 45, axis.whole).map((v) => measured(short(v))), 8);
    return Math.ceil(widest) + 30;
}

let clips = 0;
/**
 * What is drawn in an area and nowhere else.
 * @param {[number, number, number, number]} area
 * @param {Node[]} parts
 */
function clipped([x, y, width, height], parts) {
    const id = `clip-${clips++}`;
    return s("g", null, s("clipPath", { id }, s("rect", { x, y, width, height })), s("g", { "clip-path": `url(#${id})` }, parts));
}

/**
 * The mark next to a place, if one is near.
 * @param {number} n
 * @param {(i: number) => [number, number]} place
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 */
function nearest(n, place, x, y, reach) {
    let found = -1;
    let least = reach * reach;
    for (let i = 0; i < n; i++) {
        const [px, py] = place(i);
        const far = (px - x) ** 2 + (py - y) ** 2;
        if (far <= least) {
            [found, least] = [i, far];
        }
    }
    return found;
}

/**
 * The order of categories.
 * @param {number} n
 * @param {(i: number) => number} value
 * @param {boolean} sorted by value, the largest first, those without one last
 */
function orderOf(n, value, sorted) {
    const order = Array.from({ length: n }, (_, i) => i);
    const key = (/** @type {number} */ i) => (Number.isNaN(value(i)) ? -Infinity : value(i));
    return sorted ? order.sort((a, b) => key(b) - key(a) || a - b) : order;
}

/**
 * Names below bars and boxes, turned where they are long, left out where they are many.
 * @param {[number, number, number, number]} area
 * @param {string[]} names in their order
 * @param {(place: number) => number} middle
 * @param {number} step distance of two
 * @param {string} axis
 * @param {Ink} ink
 */
function categoriesBelow([x, y, w, hh], names, middle, step, axis, ink) {
    const longest = Math.max(0, ...names.map((name) => measured(name)));
    const turned = longest > step - 6;
    const every = Math.max(1, Math.ceil((turned ? 14 : 0) / Math.max(step, 0.1)));
    const shown = names.map((name, i) => ({ name, i })).filter(({ i }) => i % every === 0);
    const below = turned ? Math.min(longest, 90) * 0.75 + 14 : 16;
    return {
        height: below + 22,
        parts: [
            ...shown
                .filter(({ i }) => middle(i) >= x - 1 && middle(i) <= x + w + 1)
                .map(({ name, i }) =>
                    turned
                        ? label(0, 0, fitted(name, 90), { transform: `translate(${middle(i) + 4} ${y + hh + 12}) rotate(-45)`, "text-anchor": "end", fill: ink.soft })
                        : label(middle(i), y + hh + 15, name, { "text-anchor": "middle", fill: ink.soft }),
                ),
            s("line", { x1: x, x2: x + w, y1: y + hh, y2: y + hh, stroke: ink.axis }),
            label(x + w / 2, y + hh + below + 16, axis, { "text-anchor": "middle" }),
        ],
    };
}

/**
 * How high the names below bars are.
 * @param {string[]} names
 * @param {number} step
 */
function heightBelow(names, step) {
    const longest = Math.max(0, ...names.map((name) => measured(name)));
    return (longest > step - 6 ? Math.min(longest, 90) * 0.75 + 14 : 16) + 22;
}

/**
 * Horizontal lines of reference with their names.
 * @param {[string, Num][]} references
 * @param {[number, number, number, number]} area
 * @param {(y: number) => number} at
 * @param {Ink} ink
 */
function referenceLines(references, [left, top, w], at, ink) {
    return references.map(([name, value], i) => {
        const y = at(num(value));
        return s("g", null, s("line", { x1: left, x2: left + w, y1: y, y2: y, stroke: ink.soft, "stroke-dasharray": i % 2 ? "2 3" : "6 4" }), label(left + w - 4, y - 4 < top + 8 ? y + 12 : y - 4, name, { "text-anchor": "end", fill: ink.soft, "font-size": 10 }));
    });
}
