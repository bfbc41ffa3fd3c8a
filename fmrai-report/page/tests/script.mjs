// Our script as the page has it: the files in the order that src/page.rs gives.

import { readFileSync, readdirSync } from "node:fs";
import vm from "node:vm";

const home = new URL("../", import.meta.url);

/** The files, in their order. */
export function files() {
    const rust = readFileSync(new URL("../src/page.rs", home), "utf8");
    return [...rust.matchAll(/include_str!\("\.\.\/page\/(src\/[^"]+\.js)"\)/g)].map(([, file]) => file);
}

/** The files that there are. */
export function present() {
    const all = readdirSync(new URL("src", home), { recursive: true }).map(String);
    return all.filter((file) => file.endsWith(".js")).map((file) => `src/${file}`);
}

/**
 * Some names of the script, which is not begun.
 * @param {string[]} names
 */
export function names(names) {
    const text = files().filter((file) => file !== "src/main.js").map((file) => readFileSync(new URL(file, home), "utf8")).join("\n");
    const context = vm.createContext({ URL, Blob, atob, console });
    return vm.runInContext(`"use strict";\n${text}\n;({ ${names.join(", ")} })`, context);
}
