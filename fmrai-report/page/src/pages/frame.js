// The page around what is shown: where one can go, what is picked, light and dark.

/**
 * @typedef {{ path: string[], name: string, group: string, status: string }} Place
 * A page, made when it is shown.
 * @typedef {{ places: () => Place[], content: (path: string[]) => { title: string, parts: Child[] } }} Site
 */

/** @param {Site} site @param {string} title */
function frame(site, title) {
    const nav = h("nav", { id: "nav", "aria-label": "Pages" });
    const main = h("main", { id: "main", tabindex: -1 });
    const picks = h("div", { id: "picks", role: "status" });
    const theme = button("", "Dark or light", () => {
        document.documentElement.dataset["theme"] = ink() === DARK ? "light" : "dark";
        nameTheme();
        themed.forEach((redraw) => redraw());
    });
    const nameTheme = () => (theme.textContent = ink() === DARK ? "Light" : "Dark");
    nameTheme();
    const head = only.path ? h("header", { id: "head" }, h("span", { class: "title", dir: "auto" }, title), h("span", { class: "space" }), picks, theme) : h("header", { id: "head" }, h("a", { class: "skip", href: "#main", onclick: (/** @type {Event} */ e) => (e.preventDefault(), main.focus()) }, "To the content"), h("a", { class: "brand", href: "#/" }, "fMRAi"), h("span", { class: "title", dir: "auto" }, title), h("span", { class: "space" }), picks, theme);
    document.body.replaceChildren(head, h("div", { id: "frame" }, !only.path && nav, main), h("div", { id: "tip", role: "tooltip", hidden: true }), h("div", { id: "said", class: "hidden", "aria-live": "polite" }));

    let shownPath = "";
    const drawNav = () => {
        if (only.path) {
            return;
        }
        const at = here().path.join("/");
        const places = site.places();
        const groups = [...new Set(places.map((p) => p.group))];
        nav.replaceChildren(
            ...groups.flatMap((group) => [
                ...(group ? [h("h2", null, group)] : []),
                h("ul", null, places.filter((p) => p.group === group).map((p) => h("li", null, h("a", { href: writeAddress({ path: p.path, query: new Map([["pick", [...picked.keys].join(",")]]) }), class: p.status, "aria-current": p.path.join("/") === at ? "page" : undefined, dir: "auto" }, p.name)))),
            ]),
        );
    };
    const drawPicks = () => {
        picks.replaceChildren(
            ...[...picked.keys].map((key) => h("button", { type: "button", class: "chip pick", title: "Do not pick it any more", onclick: () => picked.toggle(key) }, `${key} ×`)),
            ...(picked.keys.size > 1 ? [button("clear", "Pick nothing", () => picked.set([]))] : []),
        );
    };
    const show = () => {
        const address = here();
        const shown = only.path ?? address.path;
        const path = shown.join("/");
        const keys = (address.query.get("pick") ?? "").split(",").filter((k) => k !== "");
        if (keys.join() !== [...picked.keys].join()) {
            picked.set(keys);
        }
        if (path !== shownPath || main.childElementCount === 0) {
            shownPath = path;
            themed.clear();
            picked.watchers.clear();
            picked.watchers.add(watchPicks);
            hideTip();
            const { title: pageTitle, parts } = site.content(shown);
            main.replaceChildren();
            append(main, [!only.path && h("h1", { dir: "auto" }, pageTitle), parts]);
            document.title = `${pageTitle} · ${title}`;
            scrollTo(0, 0);
            announce(pageTitle);
        }
        drawNav();
        const figure = address.query.get("figure");
        if (figure) {
            const element = document.getElementById(`figure-${figure}`);
            element?.scrollIntoView();
            element?.focus({ preventScroll: true });
        }
    };
    const watchPicks = () => (drawPicks(), drawNav());
    picked.watchers.add(watchPicks);
    addEventListener("hashchange", show);
    document.addEventListener("click", (event) => {
        // In a frame of a notebook a link would be one of the notebook.
        const link = event.target instanceof Element ? event.target.closest("a[href^='#/']") : null;
        if (link && location.protocol === "about:") {
            event.preventDefault();
            goTo(link.getAttribute("href") ?? "");
        }
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (nameTheme(), themed.forEach((redraw) => redraw())));
    show();
    drawPicks();
    return { refresh: () => ((shownPath = "\u0000"), show()), nav: drawNav };
}

/**
 * The pages of one document.
 * @param {ReportDocument} doc
 * @returns {Site}
 */
function siteOf(doc) {
    return {
        places: () => [
            { path: [], name: "Overview", group: "", status: "" },
            ...(doc.model ? [{ path: ["model"], name: "Model", group: "", status: "" }] : []),
            ...doc.analyses.map((a) => ({ path: ["analysis", a.name], name: a.name, group: "Analyses", status: a.status })),
        ],
        content: ([page = "", name = ""]) => {
            const analysis = doc.analyses.find((a) => a.name === name);
            if (page === "model" && doc.model) {
                return { title: "Model", parts: [modelPage(doc.model, doc.title)] };
            }
            if (page === "structure" && doc.model) {
                return { title: "Structure", parts: [modelPage(doc.model, doc.title, false)] };
            }
            if (page === "analysis" && analysis) {
                return { title: analysis.name, parts: [analysis.type !== analysis.name && h("p", { class: "quiet" }, analysis.type), analysisPage(analysis)] };
            }
            if (page !== "") {
                return { title: "Not here", parts: [h("p", null, `This report has no page ${[page, name].filter((p) => p).join("/")}.`), h("p", null, h("a", { href: "#/" }, "To the overview"))] };
            }
            return { title: doc.title, parts: [overviewPage(doc)] };
        },
    };
}
