// Parts that several pages have.

/**
 * A heading with what is below it.
 * @param {string} title
 * @param {Child[]} children
 */
function section(title, ...children) {
    return h("section", { class: "section" }, h("h2", null, title), ...children);
}

/**
 * The fields of an object; objects in it are told with dots, lists in a line each.
 * @param {{ [name: string]: Json }} map
 * @param {string} [before]
 * @returns {[string, string][]}
 */
function fieldsOf(map, before = "") {
    return Object.entries(map).flatMap(([name, value]) => {
        const full = before + name.replace(/_/g, " ");
        if (value === null) {
            return /** @type {[string, string][]} */ ([[full, "–"]]);
        }
        if (Array.isArray(value)) {
            const flat = value.every((v) => typeof v !== "object" || v === null);
            const all = flat ? value.map((v) => (typeof v === "number" ? short(v) : String(v))).join(", ") : "";
            const told = flat ? all : value.map((v) => fieldsOf(objectOf(v)).map(([field, text]) => `${field} ${text}`).join(", ")).join("; ");
            const brief = told.length < 260 ? told || "none" : count(value.length, "entry").replace("entrys", "entries");
            return /** @type {[string, string][]} */ ([[full, brief]]);
        }
        if (typeof value === "object") {
            return fieldsOf(value, `${full} · `);
        }
        return /** @type {[string, string][]} */ ([[full, typeof value === "number" ? short(value, 6) : String(value)]]);
    });
}

/**
 * The first numbers that an analysis answers: not what it was told, nor what it counted.
 * @param {Analysis} analysis
 */
function answerOf(analysis) {
    const known = new Set(["texts", "tokens", "warnings", "layers", "positions", "sequences", "tokens_of", ...Object.keys(analysis.config)]);
    const told = Object.fromEntries(Object.entries(analysis.summary).filter(([name, value]) => !known.has(name) && !Array.isArray(value) && value !== null));
    return fieldsOf(told).filter(([, text]) => text.length < 40 && text !== "–").slice(0, 4);
}

/** @param {[string, Child][]} rows */
function fields(rows) {
    return h("dl", { class: "fields" }, rows.flatMap(([name, value]) => [h("dt", null, name), h("dd", { dir: "auto" }, value)]));
}

/** @param {Json | undefined} value */
function objectOf(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

/** @param {Json | undefined} value */
function listOf(value) {
    return Array.isArray(value) ? value : [];
}

/** @param {Json | undefined} value */
function textOf(value) {
    return typeof value === "string" ? value : typeof value === "number" ? short(value, 8) : "";
}

/**
 * @param {Analysis} analysis
 */
function warningsOf(analysis) {
    return listOf(analysis.summary["warnings"]).map(textOf).filter((text) => text !== "");
}

/** @param {string} text @param {"warning" | "error" | "good" | "note"} kind */
function notice(text, kind) {
    const said = { warning: "Warning: ", error: "Error: ", good: "", note: "" }[kind];
    return h("p", { class: `notice ${kind}`, role: kind === "error" ? "alert" : undefined, dir: "auto" }, said && h("strong", null, said), text);
}

/**
 * @param {string} text
 * @param {string} file
 */
function codeBlock(text, file) {
    return h("div", { class: "code" }, h("div", { class: "tools" }, h("span", { class: "space" }), button("Copy", "Copy this", () => copy(text, "Copied")), button("Download", `Download ${file}`, () => save(file, new Blob([text], { type: "application/json" })))), h("pre", { tabindex: 0 }, text));
}
