// Colours: those of the pictures in files, so a figure looks the same in both.

/** @typedef {[number, number, number]} Rgb */

const VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"].map(rgb);
const RED_BLUE = ["053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f"].map(rgb);
// Okabe and Ito (2008), with an indigo for the yellow that vanishes on white.
const QUALITATIVE = ["0072b2", "d55e00", "009e73", "cc79a7", "e69f00", "56b4e9", "6b6b6b", "332288"].map(rgb);
const WARM = rgb("e8762b");
const COLD = rgb("5a9be0");

/**
 * @param {string} hex
 * @returns {Rgb}
 */
function rgb(hex) {
    return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)).slice(0, 3).reduce((/** @type {Rgb} */ all, x, i) => ((all[i] = x), all), [0, 0, 0]);
}

/** @param {Rgb} colour */
function css([r, g, b]) {
    return `rgb(${Math.round(r)},${Math.round(g)},${Math.round(b)})`;
}

/**
 * @param {Rgb} a
 * @param {Rgb} b
 * @param {number} t
 * @returns {Rgb}
 */
function mixed(a, b, t) {
    return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

/**
 * @param {Rgb[]} stops
 * @param {number} t from 0 to 1
 */
function between(stops, t) {
    const place = Math.min(1, Math.max(0, t)) * (stops.length - 1);
    const i = Math.min(stops.length - 2, Math.floor(place));
    return mixed(stops[i] ?? [0, 0, 0], stops[i + 1] ?? [0, 0, 0], place - i);
}

/** What a figure is drawn with. */
const LIGHT = { paper: rgb("ffffff"), text: "#222222", soft: "#505050", grid: "#e3e3e3", axis: "#444444", missing: "#dddddd", pick: "#111111", halo: "#ffffff", lift: 0 };
const DARK = { paper: rgb("1b1d21"), text: "#e8e8e8", soft: "#b4b4b4", grid: "#34373d", axis: "#9a9a9a", missing: "#3a3d44", pick: "#ffffff", halo: "#000000", lift: 0.25 };

/** @typedef {typeof LIGHT} Ink */

/**
 * Colours of `n` marks: ordered ones run through viridis, unordered ones are as different as possible.
 * @param {number} n
 * @param {boolean} ordered
 * @param {Ink} ink
 * @returns {Rgb[]}
 */
function markColours(n, ordered, ink) {
    return Array.from({ length: n }, (_, i) => {
        const lifted = (/** @type {Rgb} */ colour) => mixed(colour, [255, 255, 255], ink.lift);
        if (ordered) {
            const t = i / Math.max(1, n - 1);
            return between(VIRIDIS, ink.lift > 0 ? 0.22 + 0.78 * t : 0.93 * t);
        }
        const base = lifted(QUALITATIVE[i % QUALITATIVE.length] ?? [0, 0, 0]);
        const round = Math.floor(i / QUALITATIVE.length) % 4;
        return round === 0 ? base : round === 1 ? mixed(base, [0, 0, 0], 0.38) : round === 2 ? mixed(base, [255, 255, 255], 0.5) : mixed(base, [0, 0, 0], 0.6);
    });
}

/**
 * A colour behind a text: from the paper to orange, or from blue over the paper to orange.
 * @param {number} t from 0 to 1, or from -1 to 1
 * @param {Ink} ink
 */
function behindText(t, ink) {
    return mixed(ink.paper, t < 0 ? COLD : WARM, Math.min(1, Math.abs(t)) * (ink.lift > 0 ? 0.75 : 1));
}

/**
 * Black or white, whichever can be read on this colour.
 * @param {Rgb} colour
 */
function readableOn([r, g, b]) {
    return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111111" : "#ffffff";
}

/**
 * Maps numbers to colours. White, or the dark end, is the least number; of a diverging scale the middle is zero.
 * @param {[number, number]} range
 * @param {boolean} diverging
 */
function colourScale([least, most], diverging) {
    const most2 = diverging ? Math.max(Math.abs(least), Math.abs(most)) || 1 : most;
    const least2 = diverging ? -most2 : least;
    const span = most2 - least2 || 1;
    return {
        least: least2,
        most: most2,
        at: (/** @type {number} */ x) => between(diverging ? RED_BLUE : VIRIDIS, (x - least2) / span),
    };
}
