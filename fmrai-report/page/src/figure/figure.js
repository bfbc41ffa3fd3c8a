// A figure with what can be done with it: point, zoom, sort, hide, pick, download. Plots know nothing of that.

/** @returns {Ink} */
function ink() {
    const chosen = document.documentElement.dataset["theme"];
    const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    return dark ? DARK : LIGHT;
}

/** Redraws what depends on the colours of the page. */
const themed = new Set();

/**
 * @param {Figure} figure
 * @param {string} id of the element
 */
function figureView(figure, id) {
    const panels = h("div", { class: "panels" });
    const sorts = figure.panels.flatMap(({ plot }) => sortsOf(plot));
    const options = [...new Map(sorts)];
    const state = { sort: "given", asTable: false, least: 0 };
    const isNetwork = figure.panels.some(({ plot }) => plot.kind === "network");
    const zooms = figure.panels.some(({ plot }) => plot.kind !== "passages");
    /** @type {{ reset: () => void, zoom: (by: number) => void, redraw: () => void, picture: () => SVGSVGElement | null }[]} */
    let views = [];

    const fill = () => {
        if (state.asTable) {
            views = [];
            panels.replaceChildren(...figure.panels.map(({ title, plot }) => {
                const { header, rows } = tabulated(plot);
                return h("section", { class: "panel wide" }, title && h("h4", null, title), tableView(cellsOfRows(header, rows), { name: `${figure.name} ${title}`.trim(), rows: rows.length, height: 360 }));
            }));
            return;
        }
        const made = figure.panels.map(({ title, plot }) => panelView(title, plot, figure, state));
        views = made.flatMap(({ view }) => (view ? [view] : []));
        panels.replaceChildren(...made.map(({ element }) => element));
        views.forEach((view) => view.redraw());
    };
    panels.style.setProperty("--columns", String(Math.max(1, figure.columns)));
    fill();
    const tools = h(
        "div",
        { class: "tools" },
        options.length > 0 && choice("sort", options, state.sort, (value) => ((state.sort = value), views.forEach((view) => view.redraw()))),
        isNetwork && strength((value) => ((state.least = value), views.forEach((view) => view.redraw()))),
        h("span", { class: "space" }),
        zooms && [button("+", "Zoom in", () => views.forEach((view) => view.zoom(0.6))), button("−", "Zoom out", () => views.forEach((view) => view.zoom(1 / 0.6))), button("Reset", "Show everything", () => views.forEach((view) => view.reset()))],
        h("button", { type: "button", "aria-pressed": "false", title: "Show the numbers as a table", onclick: (/** @type {Event} */ e) => {
            state.asTable = !state.asTable;
            /** @type {Element} */ (e.currentTarget).setAttribute("aria-pressed", String(state.asTable));
            fill();
        } }, "Table"),
        button("SVG", "Download as SVG", () => downloadSvg(figure, state)),
        button("PNG", "Download as PNG", () => downloadPng(figure, state)),
        button("CSV", "Download the numbers as CSV", () => downloadCsv(figure)),
        !only.path && button("#", "Link to this figure", () => {
            setQuery("figure", figure.name);
            copy(location.href, "The link is copied");
        }),
    );
    const redraw = oncePerFrame(() => (zooms ? views.forEach((view) => view.redraw()) : fill()));
    themed.add(redraw);
    const element = h("figure", { class: "figure", id, tabindex: -1 }, h("h3", null, figure.title), tools, panels, figure.caption && h("figcaption", null, figure.caption));
    watch(element, () => (figure.panels.some(({ plot }) => plot.kind === "passages") && !state.asTable ? undefined : views.forEach((view) => view.redraw())));
    let width = 0;
    new ResizeObserver(() => {
        if (Math.abs(panels.clientWidth - width) > 2 && !state.asTable) {
            width = panels.clientWidth;
            redraw();
        }
    }).observe(panels);
    return element;
}

/** @param {(share: number) => void} change */
function strength(change) {
    const input = h("input", { type: "range", min: 0, max: 100, value: 0, "aria-label": "Hide edges below this share of the strongest", oninput: () => ((out.textContent = `${input.value} %`), change(Number(input.value) / 100)) });
    const out = h("output", null, "0 %");
    return h("label", { class: "choice" }, h("span", null, "edges from"), input, out);
}

/**
 * @param {string} title
 * @param {Plot} plot
 * @param {Figure} figure
 * @param {{ sort: string, least: number }} shared
 */
function panelView(title, plot, figure, shared) {
    const heading = title && h("h4", null, title);
    if (plot.kind === "passages") {
        return { element: h("section", { class: "panel wide" }, heading, drawPassages(plot, ink())), view: null };
    }
    const hidden = new Set(/** @type {number[]} */ ([]));
    /** @type {View} */
    let view = [0, 0, 1, 1];
    /** @type {Drawn | null} */
    let now = null;
    let at = -1;
    const place = h("div", { class: "plot", tabindex: 0, role: "group", "aria-label": `${title || figure.title}: use the arrow keys to go through its marks, Enter to pick` });
    const legend = h("div", { class: "legend" });
    const element = h("section", { class: plot.kind === "network" ? "panel wide" : "panel" }, heading, legend, place);
    const overlay = s("g", { class: "overlay" });

    const outline = (/** @type {Mark} */ mark, /** @type {string} */ colour, /** @type {number} */ width) => {
        const [x, y, w, hh] = mark.box;
        const more = { fill: "none", stroke: colour, "stroke-width": width };
        return mark.round ? s("circle", { cx: x + w / 2, cy: y + hh / 2, r: w / 2 + 2.5, ...more }) : s("rect", { x: x - 0.5, y: y - 0.5, width: w + 1, height: hh + 1, rx: 1.5, ...more });
    };
    const decorate = () => {
        if (!now) {
            return;
        }
        const colours = ink();
        const parts = [];
        if (picked.keys.size > 0) {
            for (let i = 0; i < now.marks; i++) {
                const mark = now.mark(i);
                if (picked.has(mark.key)) {
                    parts.push(outline(mark, colours.halo, 4.5), outline(mark, colours.pick, 2));
                }
                if (parts.length > 4000) {
                    break;
                }
            }
        }
        if (at >= 0 && at < now.marks) {
            parts.push(outline(now.mark(at), colours.halo, 3.5), outline(now.mark(at), colours.pick, 1.2));
        }
        overlay.replaceChildren(...parts);
    };
    const redraw = () => {
        const width = Math.max(230, Math.floor(place.clientWidth || 520));
        const drawnNow = drawn(plot, { width, ink: ink(), hidden, sort: shared.sort, view, title: `${figure.title}${title ? `, ${title}` : ""}. ${figure.caption}`, least: shared.least });
        now = drawnNow;
        at = Math.min(at, drawnNow.marks - 1);
        drawnNow.svg.append(overlay);
        place.replaceChildren(drawnNow.svg);
        legend.replaceChildren(...legendOf(drawnNow, hidden, redraw));
        decorate();
    };
    const zoom = (/** @type {number} */ by, cx = 0.5, cy = 0.5) => {
        view = zoomed(view, by, cx, cy, plot.kind !== "bars" && plot.kind !== "box_plot");
        redraw();
    };
    const point = (/** @type {number} */ i, /** @type {boolean} */ said) => {
        at = i;
        decorate();
        if (!now || i < 0) {
            hideTip();
            return;
        }
        const mark = now.mark(i);
        const box = now.svg.getBoundingClientRect();
        const scale = box.width / (now.svg.viewBox.baseVal.width || 1);
        showTip(mark, box.left + (mark.box[0] + mark.box[2] / 2) * scale, box.top + mark.box[1] * scale);
        if (said) {
            announce([mark.title, ...mark.lines.map(([name, value]) => `${name} ${value}`)].join(", "));
        }
    };
    const inside = (/** @type {MouseEvent} */ e) => {
        const svg = now?.svg;
        if (!svg) {
            return null;
        }
        const box = svg.getBoundingClientRect();
        const scale = (svg.viewBox.baseVal.width || 1) / box.width;
        return /** @type {[number, number]} */ ([(e.clientX - box.left) * scale, (e.clientY - box.top) * scale]);
    };
    /** @type {{ x: number, y: number, view: View, moved: boolean } | null} */
    let drag = null;
    place.addEventListener("pointermove", (e) => {
        const p = inside(e);
        if (drag && now && p) {
            const [dx, dy] = [(e.clientX - drag.x) / now.area[2], (e.clientY - drag.y) / now.area[3]];
            if (Math.abs(dx) + Math.abs(dy) > 0.01) {
                drag.moved = true;
                view = moved(drag.view, -dx, -dy);
                redraw();
            }
        } else if (p && now) {
            point(now.at(p[0], p[1]), false);
        }
    });
    place.addEventListener("pointerleave", () => point(-1, false));
    place.addEventListener("pointerdown", (e) => {
        if (e.button === 0 && (view[2] - view[0] < 1 || view[3] - view[1] < 1)) {
            drag = { x: e.clientX, y: e.clientY, view, moved: false };
            place.setPointerCapture(e.pointerId);
        }
    });
    place.addEventListener("pointerup", () => setTimeout(() => (drag = null)));
    place.addEventListener("click", (e) => {
        const p = inside(e);
        const i = p && now ? now.at(p[0], p[1]) : -1;
        const key = now && i >= 0 ? now.mark(i).key : null;
        if (key && !drag?.moved) {
            picked.toggle(key);
        }
    });
    place.addEventListener("dblclick", () => ((view = [0, 0, 1, 1]), redraw()));
    place.addEventListener(
        "wheel",
        (e) => {
            const p = inside(e);
            // Without a key the page scrolls, as everywhere.
            if (!now || !p || !(e.ctrlKey || e.metaKey || document.activeElement === place)) {
                return;
            }
            e.preventDefault();
            const [x, y, w, hh] = now.area;
            zoom(e.deltaY < 0 ? 0.85 : 1 / 0.85, (p[0] - x) / w, (p[1] - y) / hh);
        },
        { passive: false },
    );
    place.addEventListener("keydown", (e) => {
        const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: plot.kind === "heat_map" ? plot.columns.length : 1, ArrowUp: plot.kind === "heat_map" ? -plot.columns.length : -1 };
        const step = steps[/** @type {keyof typeof steps} */ (e.key)];
        if (step !== undefined && now && now.marks > 0) {
            const to = at < 0 ? 0 : at + step;
            point(Math.min(now.marks - 1, Math.max(0, to)), true);
        } else if (e.key === "+" || e.key === "-") {
            zoom(e.key === "+" ? 0.7 : 1 / 0.7);
        } else if (e.key === "0") {
            view = [0, 0, 1, 1];
            redraw();
        } else if ((e.key === "Enter" || e.key === " ") && now && at >= 0) {
            const key = now.mark(at).key;
            if (key) {
                picked.toggle(key);
            }
        } else if (e.key === "Escape") {
            point(-1, false);
        } else {
            return;
        }
        e.preventDefault();
    });
    place.addEventListener("blur", () => point(-1, false));
    return { element, view: { redraw, zoom: (/** @type {number} */ by) => zoom(by), reset: () => ((view = [0, 0, 1, 1]), hidden.clear(), redraw()), picture: () => now?.svg ?? null } };
}

/**
 * @param {Drawn} drawnNow
 * @param {Set<number>} hidden
 * @param {() => void} redraw
 */
function legendOf({ legend }, hidden, redraw) {
    if (!legend || legend.entries.length < 2) {
        return [];
    }
    const entry = (/** @type {LegendEntry} */ { name, colour, place }) => {
        const swatch = h("span", { class: "swatch" });
        swatch.style.backgroundColor = colour;
        const toggle = () => {
            if (!hidden.delete(place)) {
                hidden.add(place);
            }
            redraw();
        };
        const alone = () => {
            const others = legend.entries.filter((other) => other.place !== place);
            const already = others.every((other) => hidden.has(other.place));
            hidden.clear();
            others.forEach((other) => !already && hidden.add(other.place));
            redraw();
        };
        return h("button", { type: "button", "aria-pressed": String(!hidden.has(place)), title: "Click to hide or show, double-click to show it alone", onclick: toggle, ondblclick: alone }, swatch, name || "–");
    };
    return [legend.title && h("span", { class: "quiet" }, legend.title), ...legend.entries.map(entry)].filter((part) => part instanceof Node);
}

/**
 * @param {View} view
 * @param {number} by below 1 to come nearer
 * @param {number} cx what stays in its place, as a share of what is in view
 * @param {number} cy
 * @param {boolean} both whether heights change too
 * @returns {View}
 */
function zoomed([x0, y0, x1, y1], by, cx, cy, both) {
    const one = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ c) => {
        const middle = a + (b - a) * Math.min(1, Math.max(0, c));
        const [low, high] = [Math.max(0, middle - (middle - a) * by), Math.min(1, middle + (b - middle) * by)];
        return high - low < 0.002 ? [a, b] : [low, high];
    };
    const [a = 0, b = 1] = one(x0, x1, cx);
    const [c = 0, d = 1] = both ? one(y0, y1, cy) : [0, 1];
    return [a, c, b, d];
}

/**
 * @param {View} view
 * @param {number} dx share of what is in view
 * @param {number} dy
 * @returns {View}
 */
function moved([x0, y0, x1, y1], dx, dy) {
    const one = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ by) => {
        const step = Math.min(1 - b, Math.max(-a, by * (b - a)));
        return [a + step, b + step];
    };
    const [a = 0, b = 1] = one(x0, x1, dx);
    const [c = 0, d = 1] = one(y0, y1, dy);
    return [a, c, b, d];
}

/**
 * @param {Mark} mark
 * @param {number} x
 * @param {number} y
 */
function showTip(mark, x, y) {
    const tip = document.getElementById("tip");
    if (!tip) {
        return;
    }
    tip.replaceChildren(h("strong", { dir: "auto" }, mark.title), ...mark.lines.map(([name, value]) => h("div", null, h("span", { class: "quiet" }, `${name} `), h("span", { dir: "auto" }, value))), ...(mark.key ? [h("div", { class: "quiet" }, picked.has(mark.key) ? "picked" : "click to pick")] : []));
    tip.hidden = false;
    const { offsetWidth: w, offsetHeight: hh } = tip;
    tip.style.left = `${Math.max(4, Math.min(innerWidth - w - 4, x - w / 2))}px`;
    tip.style.top = `${y - hh - 10 < 4 ? y + 18 : y - hh - 10}px`;
}

function hideTip() {
    const tip = document.getElementById("tip");
    if (tip) {
        tip.hidden = true;
    }
}
