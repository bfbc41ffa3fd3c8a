// Cards of a store, from the answer that its analyzer declares: on a live page with what it can be told.

/**
 * The cards of a section: each row has `title`, perhaps `details` and `passages` as JSON, and numbers to sort by.
 * @param {AnswerSection} section
 */
function cardsOf(section) {
    return section.rows.map((row) => {
        const parsed = (/** @type {string} */ name) => {
            try {
                return /** @type {Json} */ (JSON.parse(String(row[name] ?? "null")));
            } catch {
                return null;
            }
        };
        const details = listOf(parsed("details")).map(textOf);
        const passages = listOf(parsed("passages")).map((p) => {
            const o = objectOf(p);
            const marked = typeof o["marked"] === "number" ? o["marked"] : null;
            return {
                label: textOf(o["label"]),
                tokens: listOf(o["tokens"]).map((t) => ({ text: String(listOf(t)[0] ?? ""), value: /** @type {Num} */ (listOf(t)[1] ?? null) })),
                marked,
                cut_before: o["cut_before"] === true || o["cut_before"] === 1,
                cut_after: o["cut_after"] === true || o["cut_after"] === 1,
            };
        });
        const numbers = Object.entries(row).filter(([name]) => !["title", "details", "passages"].includes(name)).map(([name, value]) => /** @type {[string, number]} */ ([name, num(value)]));
        return { title: String(row["title"] ?? ""), details, passages, numbers: new Map(numbers) };
    });
}

/** @typedef {ReturnType<typeof cardsOf>[number]} StoreCard */

/**
 * @param {AnswerSection} section
 * @param {string} about
 */
function cardsView(section, about) {
    const cards = cardsOf(section);
    const columns = section.columns.filter(({ name }) => !["title", "details", "passages"].includes(name));
    const layers = [...new Set(cards.map((card) => card.numbers.get("layer")).filter((x) => x !== undefined && !Number.isNaN(x)))].sort((a, b) => Number(a) - Number(b));
    const state = { word: "", layer: "", sort: "", shown: CARDS_AT_ONCE };
    const list = h("div", { class: "cards" });
    const told = h("span", { class: "quiet", role: "status" });
    const more = h("div", { class: "more" });
    const texts = cards.map((card) => cardText(card));
    const fill = () => {
        const words = state.word.toLowerCase().split(/\s+/).filter((w) => w !== "");
        const fits = cards.map((card, i) => ({ card, i })).filter(({ card, i }) => (state.layer === "" || card.numbers.get("layer") === Number(state.layer)) && words.every((w) => texts[i]?.includes(w)) && (picked.keys.size === 0 || !onlyPicked.checked || picked.has(keyOfLabel(card.title))));
        if (state.sort !== "") {
            const value = (/** @type {StoreCard} */ card) => card.numbers.get(state.sort) ?? NaN;
            fits.sort((a, b) => (Number.isNaN(value(a.card)) ? 1 : 0) - (Number.isNaN(value(b.card)) ? 1 : 0) || value(b.card) - value(a.card) || a.i - b.i);
        }
        const all = fits.flatMap(({ card }) => card.passages.flatMap((p) => p.tokens.map((t) => num(t.value))));
        const [least, most] = extent(all) ?? [0, 1];
        const largest = Math.max(Math.abs(least), Math.abs(most)) || 1;
        // Each card by its own strongest token: neurons of other layers are stronger or weaker as a whole.
        list.replaceChildren(...fits.slice(0, state.shown).map(({ card }) => {
            const own = extent(card.passages.flatMap((p) => p.tokens.map((t) => Math.abs(num(t.value)))))?.[1] ?? largest;
            const element = cardOf(card, (x) => x / (own || 1), { label: "coefficient", unit: null, range: null, whole: false }, ink());
            const numbers = columns.map(({ name, unit }) => `${name.replace(/_/g, " ")} ${withUnit(card.numbers.get(name) ?? NaN, unit)}`).filter((text) => !text.endsWith("none"));
            element.querySelector("h4")?.after(h("p", { class: "quiet" }, numbers.join(" · ")));
            element.append(alike(card, cards, fill));
            return element;
        }));
        told.textContent = `${grouped(fits.length)} of ${count(cards.length, "card")}${section.cut ? " (there are more in the store)" : ""}`;
        more.replaceChildren();
        if (fits.length > state.shown) {
            more.append(button("Show more", "Show more cards", () => ((state.shown += CARDS_AT_ONCE), fill())));
        }
    };
    const onlyPicked = h("input", { type: "checkbox", onchange: () => fill() });
    const search = h("input", { type: "search", placeholder: "search by token or text", "aria-label": "Search the cards", oninput: () => ((state.word = search.value), (state.shown = CARDS_AT_ONCE), setQuery("cards", search.value), fill()) });
    search.value = here().query.get("cards") ?? "";
    state.word = search.value;
    const element = h(
        "div",
        { class: "cardsview" },
        h("p", null, about),
        h(
            "div",
            { class: "tools" },
            search,
            layers.length > 1 && choice("layer", [["", "all"], .../** @type {[string, string][]} */ (layers.map((l) => [String(l), String(l)]))], "", (value) => ((state.layer = value), fill())),
            choice("sort by", [["", "as given"], .../** @type {[string, string][]} */ (columns.map(({ name }) => [name, name.replace(/_/g, " ")]))], "", (value) => ((state.sort = value), fill())),
            h("label", { class: "choice" }, onlyPicked, h("span", null, "picked only")),
            h("span", { class: "space" }),
            told,
        ),
        list,
        more,
    );
    fill();
    watch(element, fill);
    return element;
}

/**
 * The cards that share texts with this one around the same token.
 * @param {StoreCard} card
 * @param {StoreCard[]} cards
 * @param {() => void} redraw
 */
function alike(card, cards, redraw) {
    const triggers = (/** @type {StoreCard} */ c) => new Set(c.passages.map((p) => p.tokens.map((t) => t.text).join("")));
    const list = h("span");
    const show = () => {
        const own = triggers(card);
        const near = cards
            .filter((other) => other !== card)
            .map((other) => ({ other, shared: [...triggers(other)].filter((t) => own.has(t)).length }))
            .filter(({ shared }) => shared > 0)
            .sort((a, b) => b.shared - a.shared)
            .slice(0, 12);
        list.replaceChildren(near.length === 0 ? "none here" : "", ...near.flatMap(({ other, shared }, i) => [i > 0 ? ", " : "", h("button", { type: "button", class: "link", title: count(shared, "shared passage"), onclick: () => {
            const key = keyOfLabel(other.title);
            if (key) {
                picked.toggle(key);
            }
            redraw();
        } }, other.title), ` (${shared})`]));
    };
    return h("p", { class: "alike" }, button("Shares triggers with", "Show the cards with the same passages", show), " ", list);
}

/**
 * The sections of an answer.
 * @param {Answer} answer
 */
function answerView(answer) {
    return answer.sections.map((part) => {
        if (part.form === "cards") {
            return section(part.heading, cardsView(part, answer.about));
        }
        const columns = part.columns.map(({ name, unit }) => ({ name, unit, numeric: part.rows.every((row) => typeof row[name] !== "string"), values: part.rows.map((row) => (typeof row[name] === "string" ? row[name] : num(row[name]))) }));
        return section(part.heading, part.rows.length === 0 ? h("p", { class: "quiet" }, "none") : tableView(columns, { name: part.heading, rows: part.rows.length }), part.cut && h("p", { class: "quiet" }, "There are more rows than these."));
    });
}
