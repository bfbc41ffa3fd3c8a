// What a mark of a figure, a row of a table or a node stands for, read from its labels: figures of any analyzer are linked by that,
// plugins among them.

/**
 * A key says what something is: `layer 3`, `layer 3 head 5`, `layer 3 neuron 1040`, `text 2`. What picks a layer picks all in it.
 * @typedef {string} Key
 */

const PARTS = /\b(layer|head|neuron|text|expert)s?[ :=#]*(\d+)/gi;

/**
 * The key of a label that stands alone, e.g. `L3H5`, `layer 3, neuron 1040`.
 * @param {string} label
 * @returns {Key | null}
 */
function keyOfLabel(label) {
    const head = /^[La](\d+)\.?(?:h(\d+))?$/i.exec(label.trim());
    if (head) {
        return head[2] === undefined ? `layer ${head[1]}` : `layer ${head[1]} head ${head[2]}`;
    }
    const parts = [...label.matchAll(PARTS)].map((part) => `${String(part[1]).toLowerCase()} ${Number(part[2])}`);
    return parts.length > 0 ? parts.join(" ") : null;
}

/**
 * The key of a label on an axis, e.g. `3` on `layer`.
 * @param {string} axis
 * @param {string} label
 * @returns {Key | null}
 */
function keyOnAxis(axis, label) {
    const alone = keyOfLabel(label);
    if (alone !== null) {
        return alone;
    }
    const name = /^(?:\w+ )?(layer|head|neuron|text)s?$/i.exec(axis.trim());
    return name && /^\d+$/.test(label.trim()) ? `${String(name[1]).toLowerCase()} ${Number(label)}` : null;
}

/**
 * The key of what has both, the outer one first.
 * @param {(Key | null)[]} keys
 * @returns {Key | null}
 */
function joinedKey(...keys) {
    const order = ["layer", "expert", "head", "neuron", "text"];
    const known = new Map();
    for (const key of keys) {
        for (const part of (key ?? "").matchAll(PARTS)) {
            const name = String(part[1]).toLowerCase();
            if (known.has(name) && known.get(name) !== part[2]) {
                return null; // two heads: what belongs to both belongs to none
            }
            known.set(name, part[2]);
        }
    }
    // A head or a neuron without its layer is a place on an axis, not a thing.
    if ((known.has("head") || known.has("neuron")) && !known.has("layer")) {
        return null;
    }
    const found = order.filter((name) => known.has(name)).map((name) => `${name} ${known.get(name)}`);
    return found.length > 0 ? found.join(" ") : null;
}

/**
 * True if `picked` is this thing, or holds it.
 * @param {Key} picked
 * @param {Key | null} key
 */
function picks(picked, key) {
    return key !== null && (key === picked || key.startsWith(`${picked} `));
}
