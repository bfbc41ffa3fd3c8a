// Elements. Texts only ever become text nodes, so nothing that a model or a file says is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes | null} attributes what begins with `on` listens; true is an attribute without a value; absent ones are left out
 * @param {Child[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (typeof value === "function") {
            element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
        } else if (value !== undefined && value !== null && value !== false) {
            element.setAttribute(name, value === true ? "" : harmless(String(value)));
        }
    }
    append(element, children);
    return element;
}

/**
 * A text without marks that turn the direction of all that follows: a token could hold one, and make the rest of a page lie.
 * @param {string} text
 */
function harmless(text) {
    return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/**
 * @param {Element} element
 * @param {Child[]} children
 */
function append(element, children) {
    for (const child of children) {
        if (Array.isArray(child)) {
            append(element, child);
        } else if (child !== null && child !== undefined && child !== false) {
            element.append(child instanceof Node ? child : harmless(String(child)));
        }
    }
}

/**
 * An HTML element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function h(tag, attributes, ...children) {
    return filled(document.createElement(tag), attributes ?? null, children);
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes | null} [attributes]
 * @param {Child[]} children
 * @returns {SVGElementTagNameMap[T]}
 */
function s(tag, attributes, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes ?? null, children);
}

/**
 * A button; `label` is what it says where its text is a sign.
 * @param {string} text
 * @param {string} label
 * @param {() => void} press
 * @param {Attributes} [more]
 */
function button(text, label, press, more) {
    return h("button", { type: "button", title: label, "aria-label": label, onclick: press, ...more }, text);
}

/**
 * A choice of one.
 * @param {string} label
 * @param {[string, string][]} options value and text
 * @param {string} chosen
 * @param {(value: string) => void} choose
 */
function choice(label, options, chosen, choose) {
    const select = h(
        "select",
        { onchange: () => choose(select.value) },
        options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
    );
    return h("label", { class: "choice" }, h("span", null, label), select);
}

/**
 * Says something to screen readers.
 * @param {string} text
 */
function announce(text) {
    const region = document.getElementById("said");
    if (region) {
        region.textContent = text;
    }
}

/**
 * Calls at most once a frame.
 * @param {() => void} call
 */
function oncePerFrame(call) {
    let due = false;
    return () => {
        if (!due) {
            due = true;
            requestAnimationFrame(() => {
                due = false;
                call();
            });
        }
    };
}
