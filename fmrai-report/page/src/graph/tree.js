// The operations of a graph, sorted into modules or into the blocks that were found.

/** Operations that stand in one group before they are put into parts. */
const PART = 60;

/**
 * @typedef {{ id: string, name: string, parent: Group | null, children: (Group | number)[], operations: number, first: number, key: Key | null }} Group
 * `children` are groups and the numbers of operations, in the order in which they run.
 */

/** @param {string} name */
function baseName(name) {
    return (name.split("::").pop() ?? name).split(".")[0] ?? name;
}

/** A graph as it is read here. */
class GraphModel {
    /** @param {GraphData} graph */
    constructor(graph) {
        this.graph = graph;
        this.size = graph.operations.name.length;
        /** Operations that only arrange, cut, repeat, cast or copy one tensor. */
        this.views = new Set(graph.operations.views);
        /** The operation that makes a tensor, or -1. */
        this.maker = new Int32Array(graph.tensors.name.length).fill(-1);
        graph.operations.outputs.forEach((outputs, op) => outputs.forEach((id) => (this.maker[id] = op)));
        /** @type {number[][]} */
        this.users = Array.from({ length: graph.tensors.name.length }, () => []);
        graph.operations.inputs.forEach((inputs, op) => new Set(inputs).forEach((id) => this.users[id]?.push(op)));
    }
    /**
     * @param {"name" | "module" | "block" | "source" | "role" | "constants"} column
     * @param {number} op
     */
    text(column, op) {
        return this.graph.texts[this.graph.operations[column][op] ?? 0] ?? "";
    }
    /** @param {number} id */
    tensor(id) {
        const { tensors, texts } = this.graph;
        return { name: texts[tensors.name[id] ?? 0] ?? "", dtype: texts[tensors.dtype[id] ?? 0] ?? "", shape: tensors.shape[id] ?? [], origin: texts[tensors.origin[id] ?? 0] ?? "" };
    }
    /** @param {number} op */
    isView(op) {
        return this.views.has(op);
    }
    /** @param {number} op */
    shape(op) {
        const first = this.graph.operations.outputs[op]?.[0];
        return first === undefined ? "" : shapeText(this.tensor(first).shape);
    }
}

/** @param {number[]} shape */
function shapeText(shape) {
    return `[${shape.join(", ")}]`;
}

/**
 * @param {GraphModel} model
 * @param {"module" | "block"} by
 * @returns {Group}
 */
function treeOf(model, by) {
    /** @type {Group} */
    const root = { id: "", name: "", parent: null, children: [], operations: 0, first: 0, key: null };
    /** @type {Map<string, Group>} */
    const known = new Map([["", root]]);
    const sign = by === "module" ? "." : "/";
    const group = (/** @type {string} */ id, /** @type {number} */ op) => {
        const found = known.get(id);
        if (found) {
            return found;
        }
        const cut = id.lastIndexOf(sign);
        const parent = group(cut < 0 ? "" : id.slice(0, cut), op);
        const name = id.slice(cut + 1);
        const key = by === "block" ? keyOfLabel(id.split("/")[0] ?? "") : null;
        /** @type {Group} */
        const made = { id, name, parent, children: [], operations: 0, first: op, key };
        known.set(id, made);
        parent.children.push(made);
        return made;
    };
    for (let op = 0; op < model.size; op++) {
        let at = /** @type {Group | null} */ (group(model.text(by, op), op));
        at?.children.push(op);
        for (; at; at = at.parent) {
            at.operations++;
        }
    }
    for (const one of [...known.values()]) {
        partitioned(one);
    }
    return simplified(root);
}

/**
 * Puts what is too much for one group into parts of it.
 * @param {Group} group
 */
function partitioned(group) {
    if (group.children.length <= 2 * PART) {
        return;
    }
    const all = group.children;
    const size = Math.max(PART, Math.ceil(all.length / PART));
    group.children = [];
    for (let from = 0; from < all.length; from += size) {
        const children = all.slice(from, from + size);
        const firstOf = (/** @type {Group | number} */ c) => (typeof c === "number" ? c : c.first);
        const operations = children.reduce((/** @type {number} */ sum, c) => sum + (typeof c === "number" ? 1 : c.operations), 0);
        /** @type {Group} */
        const part = { id: `${group.id}~${from}`, name: `part ${group.children.length + 1}`, parent: group, children, operations, first: firstOf(children[0] ?? 0), key: null };
        children.forEach((c) => typeof c !== "number" && (c.parent = part));
        group.children.push(part);
    }
}

/**
 * A group that holds one group and nothing else is one with it.
 * @param {Group} group
 * @returns {Group}
 */
function simplified(group) {
    const [only] = group.children;
    if (group.parent && group.children.length === 1 && only !== undefined && typeof only !== "number") {
        only.name = `${group.name}.${only.name}`;
        only.parent = group.parent;
        only.key ??= group.key;
        return simplified(only);
    }
    group.children = group.children.map((c) => (typeof c === "number" ? c : simplified(c)));
    group.children.forEach((c) => typeof c !== "number" && (c.parent = group));
    return group;
}

/**
 * All groups below one, itself first.
 * @param {Group} group
 * @returns {Group[]}
 */
function groupsBelow(group) {
    return [group, ...group.children.flatMap((c) => (typeof c === "number" ? [] : groupsBelow(c)))];
}
