// What is asked of the server that this page came from.

/**
 * An answer as JSON; an error with what the server says.
 * @param {string} path below the address of the page
 * @param {{ [name: string]: Json }} [body] what is sent, where anything is
 * @returns {Promise<Json>}
 */
async function asked(path, body) {
    const how = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
    const response = await fetch(path, how);
    const text = await response.text();
    /** @type {Json} */
    let answer = text;
    try {
        answer = JSON.parse(text);
    } catch {
        // Some refusals are plain texts.
    }
    if (!response.ok) {
        throw new Error(textOf(objectOf(answer)["error"]) || text || `the server answers ${response.status}`);
    }
    return answer;
}

/**
 * @param {string} path
 * @param {{ [name: string]: string }} told
 */
function query(path, told) {
    return `${path}?${Object.entries(told).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}

/**
 * A place that is filled when an answer comes.
 * @param {Promise<Json>} answer
 * @param {(answer: Json) => Child} fill
 */
function awaited(answer, fill) {
    const place = h("div", { "aria-busy": "true" }, h("p", { class: "quiet" }, "…"));
    answer.then(
        (value) => {
            place.replaceChildren();
            append(place, [fill(value)]);
            place.removeAttribute("aria-busy");
        },
        (error) => {
            place.replaceChildren(notice(error instanceof Error ? error.message : String(error), "error"));
            place.removeAttribute("aria-busy");
        },
    );
    return place;
}
