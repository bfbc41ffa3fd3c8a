// What is shown and what is picked. The address says it, so it can be sent to a colleague.

/**
 * @typedef {{ path: string[], query: Map<string, string> }} Address
 */

/**
 * @param {string} hash
 * @returns {Address}
 */
function readAddress(hash) {
    const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
    const pairs = query.split("&").filter((pair) => pair !== "");
    return {
        path: path.split("/").filter((part) => part !== "").map(plain),
        query: new Map(pairs.map((pair) => [plain(pair.split("=")[0] ?? ""), plain(pair.split("=").slice(1).join("="))])),
    };
}

/**
 * Text of a link; what was written by hand may be broken.
 * @param {string} text
 */
function plain(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

/** @param {Address} address */
function writeAddress({ path, query }) {
    const pairs = [...query].filter(([, value]) => value !== "").map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    return `#/${path.map(encodeURIComponent).join("/")}${pairs.length > 0 ? `?${pairs.join("&")}` : ""}`;
}

/** Things that were picked, in the order of picking, and who wants to know. */
const picked = {
    /** @type {Set<Key>} */
    keys: new Set(),
    /** @type {Set<() => void>} */
    watchers: new Set(),
    /** @param {Key} key */
    toggle(key) {
        if (!this.keys.delete(key)) {
            this.keys.add(key);
        }
        this.tell();
    },
    /** @param {Iterable<Key>} keys */
    set(keys) {
        this.keys = new Set(keys);
        this.tell();
    },
    /** @param {Key | null} key */
    has(key) {
        return [...this.keys].some((one) => picks(one, key));
    },
    tell() {
        setQuery("pick", [...this.keys].join(","));
        this.watchers.forEach((watcher) => watcher());
    },
};

/** What stands before the pages of a document in an address: on a live page which run it is. */
const within = { path: /** @type {string[]} */ ([]) };

/** The one page that is shown, where a notebook shows a part of a document; null where all of it is shown. */
const only = { path: /** @type {string[] | null} */ (null) };

/** @param {string[]} path */
function pageAddress(...path) {
    return writeAddress({ path: [...within.path, ...path], query: new Map() });
}

/** @returns {Address} */
function here() {
    return readAddress(location.hash);
}

/**
 * Changes one thing that the address says, without a step in the history.
 * @param {string} name
 * @param {string} value empty where there is nothing to say
 */
function setQuery(name, value) {
    const address = here();
    if ((address.query.get(name) ?? "") === value) {
        return;
    }
    if (value === "") {
        address.query.delete(name);
    } else {
        address.query.set(name, value);
    }
    goTo(writeAddress(address), true);
}

/**
 * Goes to an address of this page. Inside of another page addresses are relative to that one, so the whole address is told.
 * @param {string} hash
 * @param {boolean} [quietly] without a step in the history
 */
function goTo(hash, quietly) {
    try {
        if (quietly) {
            history.replaceState(null, "", location.href.replace(/#.*$/, "") + hash);
            return;
        }
    } catch {
        // There may be no history of its own.
    }
    location.hash = hash;
}
