// Numbers as they are read and shown.

/**
 * A number of a document.
 * @param {Num | string | undefined} value
 * @returns {number}
 */
function num(value) {
    if (typeof value === "number") {
        return value;
    }
    return value === "inf" ? Infinity : value === "-inf" ? -Infinity : NaN;
}

/**
 * With so many significant digits.
 * @param {number} x
 * @param {number} [digits]
 */
function short(x, digits = 4) {
    if (Number.isNaN(x)) {
        return "none";
    }
    if (!Number.isFinite(x)) {
        return x > 0 ? "∞" : "−∞";
    }
    if (Number.isInteger(x) && Math.abs(x) < 1e7) {
        return String(x).replace("-", "−");
    }
    const size = Math.abs(x);
    const text = size >= 1e7 || size < 1e-4 ? x.toExponential(digits - 1) : String(Number(x.toPrecision(digits)));
    return text.replace("-", "−").replace("e−", "e-").replace("e+", "e");
}

/**
 * With its unit.
 * @param {number} x
 * @param {string | null | undefined} unit
 */
function withUnit(x, unit) {
    return unit ? `${short(x)} ${unit}` : short(x);
}

/**
 * `1,234,567`.
 * @param {number} n
 */
function grouped(n) {
    return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * `1 text`, `2 texts`.
 * @param {number} n
 * @param {string} one
 */
function count(n, one) {
    return `${grouped(n)} ${one}${n === 1 ? "" : "s"}`;
}

/**
 * Least and largest of what is finite; null if nothing is.
 * @param {Iterable<number>} numbers
 * @returns {[number, number] | null}
 */
function extent(numbers) {
    let least = Infinity;
    let most = -Infinity;
    for (const x of numbers) {
        if (Number.isFinite(x)) {
            least = Math.min(least, x);
            most = Math.max(most, x);
        }
    }
    return least <= most ? [least, most] : null;
}

/**
 * Round numbers from `from` to `to`, about `many` of them.
 * @param {number} from
 * @param {number} to
 * @param {number} many
 * @param {boolean} whole
 */
function ticks(from, to, many, whole) {
    const span = to - from;
    if (!(span > 0)) {
        return [from];
    }
    const rough = span / Math.max(1, many);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step0 = [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough) ?? 10 * power;
    const step = whole ? Math.max(1, Math.round(step0)) : step0;
    const found = [];
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) {
        found.push(Math.abs(i * step) < step * 1e-9 ? 0 : Number((i * step).toPrecision(12)));
    }
    return found;
}

/**
 * How many texts of one kind differ in their own numbers: sorts `L2H10` after `L2H9`.
 * @param {string} a
 * @param {string} b
 */
function natural(a, b) {
    return a.localeCompare(b, "en", { numeric: true });
}
