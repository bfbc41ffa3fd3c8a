// Figures as files: drawn again on white paper, wide enough for print.

const PAGE_WIDTH = 900;

/**
 * The figure as one document.
 * @param {Figure} figure
 * @param {{ sort: string, least: number }} state
 */
function asDocument(figure, state) {
    const passages = figure.panels.some(({ plot }) => plot.kind === "passages");
    const columns = passages ? 1 : Math.min(Math.max(1, figure.columns), figure.panels.length);
    const width = Math.floor(PAGE_WIDTH / columns);
    const root = s("svg", { xmlns: SVG, "font-family": FONT, "font-size": SIZE, fill: LIGHT.text });
    /** @type {Node[]} */
    const parts = [label(12, 26, fitted(figure.title, PAGE_WIDTH - 24, 16), { "font-size": 16, "font-weight": 600 })];
    let y = 40;
    for (let first = 0; first < figure.panels.length; first += columns) {
        let tallest = 0;
        figure.panels.slice(first, first + columns).forEach(({ title, plot }, i) => {
            const group = s("g", { transform: `translate(${i * width} ${y})` });
            if (title) {
                group.append(label(12, 14, title, { "font-weight": 600 }));
            }
            const [part, height] = plot.kind === "passages" ? passagesAsSvg(plot, width) : plotAsSvg(plot, width, state, figure);
            part.setAttribute("transform", `translate(0 ${title ? 20 : 0})`);
            const legend = plot.kind === "passages" ? null : legendAsSvg(plot, width, height + (title ? 20 : 0), state, figure);
            group.append(part);
            if (legend) {
                group.append(legend.part);
            }
            parts.push(group);
            tallest = Math.max(tallest, height + (title ? 20 : 0) + (legend?.height ?? 0));
        });
        y += tallest + 10;
    }
    const caption = wrapped(figure.caption, PAGE_WIDTH - 24, 11);
    caption.forEach((line, i) => parts.push(label(12, y + 14 + 15 * i, line, { fill: LIGHT.soft })));
    const height = Math.ceil(y + 15 * caption.length + 18);
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${PAGE_WIDTH} ${height}`, width: PAGE_WIDTH, height })) {
        root.setAttribute(name, String(value));
    }
    root.append(s("rect", { width: PAGE_WIDTH, height, fill: "#ffffff" }), ...parts);
    return root;
}

/**
 * @param {Exclude<Plot, Passages>} plot
 * @param {number} width
 * @param {{ sort: string, least: number }} state
 * @param {Figure} figure
 * @returns {[SVGElement, number]}
 */
function plotAsSvg(plot, width, state, figure) {
    const { svg } = drawn(plot, { width, ink: LIGHT, hidden: new Set(), sort: state.sort, view: [0, 0, 1, 1], title: figure.title, least: state.least });
    const group = s("g", null, [...svg.childNodes]);
    return [group, svg.viewBox.baseVal.height];
}

/**
 * @param {Exclude<Plot, Passages>} plot
 * @param {number} width
 * @param {number} y
 * @param {{ sort: string, least: number }} state
 * @param {Figure} figure
 */
function legendAsSvg(plot, width, y, state, figure) {
    const { legend } = drawn(plot, { width, ink: LIGHT, hidden: new Set(), sort: state.sort, view: [0, 0, 1, 1], title: figure.title, least: state.least });
    if (!legend || legend.entries.length < 2) {
        return null;
    }
    let [x, line] = [40, y + 12];
    const part = s("g");
    if (legend.title) {
        part.append(label(x, line, legend.title, { fill: LIGHT.soft }));
        x += measured(legend.title) + 12;
    }
    for (const { name, colour } of legend.entries) {
        const wide = measured(name) + 28;
        if (x + wide > width - 10) {
            [x, line] = [40, line + 16];
        }
        part.append(s("rect", { x, y: line - 9, width: 10, height: 10, fill: colour }), label(x + 14, line, name));
        x += wide;
    }
    return { part, height: line - y + 10 };
}

/**
 * Texts in lines of a width.
 * @param {string} text
 * @param {number} width
 * @param {number} size
 */
function wrapped(text, width, size) {
    /** @type {string[]} */
    const lines = [];
    let line = "";
    for (const word of text.split(/\s+/).filter((w) => w !== "")) {
        const longer = line === "" ? word : `${line} ${word}`;
        if (measured(longer, size) > width && line !== "") {
            lines.push(line);
            line = word;
        } else {
            line = longer;
        }
    }
    return line === "" ? lines : [...lines, line];
}

/**
 * Cards below each other, their tokens set one by one.
 * @param {Passages} plot
 * @param {number} width
 * @returns {[SVGElement, number]}
 */
function passagesAsSvg(plot, width) {
    const share = passageShare(plot, LIGHT);
    const group = s("g");
    let y = 4;
    for (const card of plot.cards) {
        if (card.title) {
            group.append(label(12, (y += 16), card.title, { "font-weight": 600 }));
        }
        for (const detail of card.details) {
            for (const line of wrapped(detail, width - 24, 11)) {
                group.append(label(12, (y += 15), line, { fill: LIGHT.soft }));
            }
        }
        for (const passage of card.passages) {
            let x = 12;
            y += 19;
            if (passage.label) {
                group.append(label(x, y, passage.label, { fill: LIGHT.soft }));
                x += measured(passage.label) + 8;
            }
            passage.tokens.forEach((token, i) => {
                const text = token.text.replace(/\n/g, "⏎");
                const wide = measured(text.replace(/ /g, "\u00a0"));
                if (x + wide > width - 12) {
                    [x, y] = [24, y + 17];
                }
                const value = num(token.value);
                if (!Number.isNaN(value)) {
                    group.append(s("rect", { x, y: y - 11, width: wide, height: 15, fill: css(behindText(share(value), LIGHT)), stroke: i === passage.marked ? LIGHT.text : "none" }));
                }
                group.append(s("text", { x, y, "xml:space": "preserve" }, text.replace(/ /g, "\u00a0")));
                x += wide;
            });
        }
        y += 12;
    }
    return [group, y + 6];
}

/** @param {SVGSVGElement} svg */
function serialized(svg) {
    return new XMLSerializer().serializeToString(svg);
}

/**
 * @param {Figure} figure
 * @param {{ sort: string, least: number }} state
 */
function downloadSvg(figure, state) {
    save(`${figure.name}.svg`, new Blob([serialized(asDocument(figure, state))], { type: "image/svg+xml" }));
}

/**
 * @param {Figure} figure
 * @param {{ sort: string, least: number }} state
 */
function downloadPng(figure, state) {
    pngOf(asDocument(figure, state), 2).then(
        (blob) => blob && save(`${figure.name}.png`, blob),
        () => announce("The picture could not be made"),
    );
}

/**
 * @param {SVGSVGElement} svg
 * @param {number} scale
 * @returns {Promise<Blob | null>}
 */
async function pngOf(svg, scale) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(serialized(svg))}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [svg.viewBox.baseVal.width * scale, svg.viewBox.baseVal.height * scale];
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** @param {Figure} figure */
function downloadCsv(figure) {
    const parts = figure.panels.map(({ title, plot }) => ({ title, ...tabulated(plot) }));
    const several = parts.length > 1;
    const sameHeader = parts.every(({ header }) => header.join() === parts[0]?.header.join());
    const text = sameHeader
        ? toCsv([...(several ? ["panel"] : []), ...(parts[0]?.header ?? [])], parts.flatMap(({ title, rows }) => rows.map((row) => (several ? [title, ...row] : row))))
        : parts.map(({ title, header, rows }) => toCsv([title], []) + toCsv(header, rows)).join("\r\n");
    save(`${figure.name}.csv`, new Blob([text], { type: "text/csv" }));
}
