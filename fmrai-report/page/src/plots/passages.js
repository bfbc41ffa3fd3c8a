// Texts whose tokens have numbers.

/** Cards that are shown before more are asked for. */
const CARDS_AT_ONCE = 24;

/**
 * A text with colours behind its tokens. A browser sets it in the direction of its script.
 * @param {Passage} passage
 * @param {(x: number) => number} share from 0 to 1, or from -1 to 1
 * @param {Axis} scale
 * @param {Ink} ink
 */
function passageText(passage, share, scale, ink) {
    const tokens = passage.tokens.map((token, i) => {
        const value = num(token.value);
        const shown = token.text.replace(/\n/g, "⏎").replace(/\t/g, "⇥");
        const span = h("span", { class: i === passage.marked ? "token marked" : "token", title: Number.isNaN(value) ? shown.trim() : `${shown.trim()}: ${withUnit(value, scale.unit)}` }, shown);
        if (!Number.isNaN(value)) {
            const colour = behindText(share(value), ink);
            span.style.backgroundColor = css(colour);
            if (Math.abs(share(value)) > 0.25) {
                span.style.color = readableOn(colour);
            }
        }
        return span;
    });
    return h("p", { class: "passage", dir: "auto" }, passage.label && h("span", { class: "number" }, passage.label), passage.cut_before && "…", tokens, passage.cut_after && "…");
}

/**
 * @param {Passages} plot
 * @param {Ink} ink
 */
function passageShare(plot, ink) {
    const all = plot.cards.flatMap((card) => card.passages.flatMap((p) => p.tokens.map((t) => num(t.value))));
    const range = plot.scale.range ? [num(plot.scale.range[0]), num(plot.scale.range[1])] : (extent(all) ?? [0, 1]);
    const [least = 0, most = 1] = range;
    void ink;
    const largest = Math.max(Math.abs(least), Math.abs(most)) || 1;
    return plot.diverging ? (/** @type {number} */ x) => x / largest : (/** @type {number} */ x) => (x - least) / (most - least || 1);
}

/**
 * The cards, filtered by what their texts say.
 * @param {Passages} plot
 * @param {Ink} ink
 */
function drawPassages(plot, ink) {
    const share = passageShare(plot, ink);
    const list = h("div", { class: "cards" });
    const more = h("div", { class: "more" });
    let shown = CARDS_AT_ONCE;
    let wanted = "";
    const fill = () => {
        const fits = plot.cards.filter((card) => wanted === "" || cardText(card).includes(wanted));
        list.replaceChildren(...fits.slice(0, shown).map((card) => cardOf(card, share, plot.scale, ink)));
        more.replaceChildren();
        if (fits.length > shown) {
            more.append(button(`more of ${count(fits.length - shown, "card")}`, "Show more cards", () => ((shown += CARDS_AT_ONCE), fill())));
        }
        if (fits.length === 0) {
            more.append("No card has this in it.");
        }
    };
    fill();
    const search = h("input", { type: "search", placeholder: "search in the cards", "aria-label": "Search in the cards", oninput: () => ((wanted = search.value.trim().toLowerCase()), (shown = CARDS_AT_ONCE), fill()) });
    return h("div", null, plot.cards.length > 4 && h("div", { class: "tools" }, search), list, more, passageLegend(plot, ink));
}

/**
 * @param {Card} card
 */
function cardText(card) {
    return [card.title, ...card.details, ...card.passages.map((p) => p.tokens.map((t) => t.text).join(""))].join("\n").toLowerCase();
}

/**
 * @param {Card} card
 * @param {(x: number) => number} share
 * @param {Axis} scale
 * @param {Ink} ink
 */
function cardOf(card, share, scale, ink) {
    const key = keyOfLabel(card.title);
    const title = key ? h("button", { type: "button", class: picked.has(key) ? "link picked" : "link", title: "Pick this everywhere", onclick: () => picked.toggle(key) }, card.title) : card.title;
    return h("article", { class: "card" }, card.title && h("h4", null, title), card.details.map((line) => h("p", { class: "detail", dir: "auto" }, line)), card.passages.map((passage) => passageText(passage, share, scale, ink)));
}

/**
 * @param {Passages} plot
 * @param {Ink} ink
 */
function passageLegend(plot, ink) {
    const steps = plot.diverging ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    const all = plot.cards.flatMap((card) => card.passages.flatMap((p) => p.tokens.map((t) => num(t.value))));
    const [least = 0, most = 1] = plot.scale.range ? plot.scale.range.map(num) : (extent(all) ?? [0, 1]);
    const largest = Math.max(Math.abs(least), Math.abs(most));
    const at = (/** @type {number} */ t) => (plot.diverging ? t * largest : least + t * (most - least));
    return h(
        "p",
        { class: "scale" },
        `${axisTitle(plot.scale.label, plot.scale.unit)}: `,
        steps.map((t) => {
            const span = h("span", { class: "token" }, ` ${short(at(t), 3)} `);
            span.style.backgroundColor = css(behindText(t, ink));
            return span;
        }),
    );
}
