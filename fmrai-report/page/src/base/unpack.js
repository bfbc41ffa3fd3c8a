// From what lies in the file to the document.

/**
 * @param {string} text base64
 * @returns {Uint8Array<ArrayBuffer>}
 */
function bytesOf(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) {
        bytes[i] = binary.charCodeAt(i);
    }
    return bytes;
}

/**
 * The document of this file: JSON, gzipped, as base64.
 * @param {string} text
 * @returns {Promise<ReportDocument>}
 */
async function unpacked(text) {
    const stream = new Blob([bytesOf(text.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
}

/**
 * A number of two bytes.
 * @param {number} bits
 */
function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 31) {
        return fraction ? NaN : sign * Infinity;
    }
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The elements of a tensor; null where they are not in this document.
 * @param {ShownTensor} tensor
 * @returns {Float32Array | null}
 */
function elements(tensor) {
    if (!tensor.data || !tensor.encoding) {
        return null;
    }
    const bytes = bytesOf(tensor.data);
    const view = new DataView(bytes.buffer);
    const wide = tensor.encoding === "float32";
    const all = new Float32Array(bytes.length / (wide ? 4 : 2));
    for (let i = 0; i < all.length; i++) {
        all[i] = wide ? view.getFloat32(4 * i, true) : half(view.getUint16(2 * i, true));
    }
    return all;
}

/**
 * Saves something as a file.
 * @param {string} name
 * @param {Blob} content
 */
function save(name, content) {
    const url = URL.createObjectURL(content);
    const link = h("a", { href: url, download: name.replace(/[^\w.-]+/g, "_") });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Rows as CSV, after RFC 4180.
 * @param {string[]} header
 * @param {(string | number)[][]} rows
 */
function toCsv(header, rows) {
    const cell = (/** @type {string | number} */ value) => {
        const text = typeof value === "number" ? (Number.isNaN(value) ? "" : String(value)) : value;
        return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
