// Tables that are sorted, filtered and copied. Only the rows in view are elements, so their number does not matter.

const ROW = 28;

/**
 * @typedef {{ name: string, unit: string | null, numeric: boolean, values: (number | string)[] }} Cells
 */

/**
 * The columns of a table of a document.
 * @param {Table} table
 * @returns {Cells[]}
 */
function cellsOf(table) {
    return table.columns.map(({ name, unit, type, values }) => ({ name, unit: unit ?? null, numeric: type !== "text", values: type === "text" ? values.map(String) : values.map(num) }));
}

/**
 * The columns of rows.
 * @param {string[]} header
 * @param {(string | number)[][]} rows
 * @returns {Cells[]}
 */
function cellsOfRows(header, rows) {
    return header.map((name, i) => {
        const values = rows.map((row) => row[i] ?? "");
        return { name, unit: null, numeric: values.length > 0 && values.every((v) => typeof v === "number"), values };
    });
}

/**
 * What a filter keeps: every word has to stand in a row; `entropy > 2` compares a column.
 * @param {Cells[]} columns
 * @param {string} filter
 * @returns {(row: number) => boolean}
 */
function keeps(columns, filter) {
    /** @type {((row: number) => boolean)[]} */
    const tests = [];
    let rest = filter;
    // The longest names first: one may end as another one does.
    for (const column of [...columns].sort((a, b) => b.name.length - a.name.length)) {
        const name = column.name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        rest = rest.replace(new RegExp(`(?<=^|\\s)${name}\\s*(>=|<=|>|<|=)\\s*(\\S+)`, "giu"), (_, sign, text) => {
            const than = Number(text);
            tests.push((row) => {
                const cell = column.values[row] ?? "";
                if (sign === "=") {
                    return Number.isNaN(than) ? String(cell).trim().toLowerCase() === text.toLowerCase() : Number(cell) === than;
                }
                const x = Number(cell);
                return sign === ">" ? x > than : sign === "<" ? x < than : sign === ">=" ? x >= than : x <= than;
            });
            return " ";
        });
    }
    const words = rest.toLowerCase().split(/\s+/).filter((word) => word !== "");
    tests.push((row) => words.every((word) => columns.some((c) => String(c.values[row] ?? "").toLowerCase().includes(word))));
    return (row) => tests.every((test) => test(row));
}

/**
 * The key of every row, from the columns that say what it is.
 * @param {Cells[]} columns
 * @returns {((row: number) => Key | null) | null}
 */
function rowKeys(columns) {
    const named = columns.filter((c) => /^(layer|head|neuron|text|expert)$/i.test(c.name));
    if (named.length === 0) {
        return null;
    }
    return (row) => joinedKey(...named.map((c) => keyOnAxis(c.name, String(c.values[row] ?? ""))));
}

/**
 * @param {Cells[]} columns
 * @param {{ name: string, rows: number, height?: number }} about how many rows there are in all, and the name of the file
 */
function tableView(columns, about) {
    const n = columns[0]?.values.length ?? 0;
    const keyOf = rowKeys(columns);
    let filter = "";
    let sorted = { column: -1, down: false };
    let rows = Array.from({ length: n }, (_, i) => i);

    const grid = columns.map((c) => {
        const widest = c.values.slice(0, 300).reduce((/** @type {number} */ most, v) => Math.max(most, measured(cellText(c, v), 13)), 0);
        return Math.round(Math.min(360, Math.max(measured(axisTitle(c.name, c.unit), 13) + 34, widest + 22)));
    });
    const template = grid.map((w) => `${w}px`).join(" ");
    const body = h("div", { class: "rows", role: "rowgroup" });
    const head = h("div", { class: "row head", role: "row" });
    const scroller = h("div", { class: "scroller", tabindex: 0 }, head, body);
    const table = h("div", { class: "table", role: "table", "aria-label": about.name, "aria-rowcount": n + 1, "aria-colcount": columns.length }, scroller);
    head.style.gridTemplateColumns = template;
    const told = h("span", { class: "quiet", role: "status" });

    const draw = () => {
        const from = Math.max(0, Math.floor(scroller.scrollTop / ROW) - 10);
        const to = Math.min(rows.length, from + Math.ceil((scroller.clientHeight || 420) / ROW) + 20);
        body.style.height = `${rows.length * ROW}px`;
        const shown = [];
        for (let place = from; place < to; place++) {
            const row = rows[place] ?? 0;
            const key = keyOf?.(row) ?? null;
            const line = h("div", { class: key && picked.has(key) ? "row picked" : "row", role: "row", "aria-rowindex": place + 2 }, columns.map((c) => h("div", { class: c.numeric ? "cell number" : "cell", role: "cell", dir: c.numeric ? undefined : "auto", title: cellText(c, c.values[row] ?? "") }, cellText(c, c.values[row] ?? ""))));
            if (key) {
                line.classList.add("picks");
                line.addEventListener("click", () => picked.toggle(key));
            }
            line.style.gridTemplateColumns = template;
            line.style.top = `${place * ROW}px`;
            shown.push(line);
        }
        body.replaceChildren(...shown);
    };
    const header = () =>
        head.replaceChildren(
            ...columns.map((c, i) =>
                h("div", { class: c.numeric ? "cell number" : "cell", role: "columnheader", "aria-sort": sorted.column !== i ? "none" : sorted.down ? "descending" : "ascending" }, button(axisTitle(c.name, c.unit) + (sorted.column !== i ? "" : sorted.down ? " ↓" : " ↑"), `Sort by ${c.name}`, () => sort(i))),
            ),
        );
    const arrange = () => {
        const keep = keeps(columns, filter);
        rows = Array.from({ length: n }, (_, i) => i).filter(keep);
        const column = columns[sorted.column];
        if (column) {
            const sign = sorted.down ? -1 : 1;
            rows.sort((a, b) => {
                const [x = "", y = ""] = [column.values[a], column.values[b]];
                if (typeof x === "number" && typeof y === "number") {
                    // What is no number comes last in both directions.
                    return Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b : sign * (x - y) || a - b;
                }
                return sign * natural(String(x), String(y)) || a - b;
            });
        }
        told.textContent = rows.length === n ? count(n, "row") : `${grouped(rows.length)} of ${count(n, "row")}`;
        if (about.rows > n) {
            told.textContent += `, the first of ${grouped(about.rows)}`;
        }
        header();
        draw();
    };
    /** @param {number} i */
    const sort = (i) => {
        const numeric = columns[i]?.numeric ?? false;
        sorted = sorted.column !== i ? { column: i, down: numeric } : sorted.down === numeric ? { column: i, down: !numeric } : { column: -1, down: false };
        arrange();
        head.querySelectorAll("button")[i]?.focus();
    };
    scroller.addEventListener("scroll", oncePerFrame(draw));
    const cells = () => rows.map((row) => columns.map((c) => c.values[row] ?? ""));
    const titles = columns.map((c) => axisTitle(c.name, c.unit));
    const search = h("input", { type: "search", placeholder: "filter: words, or entropy > 2", "aria-label": `Filter the rows of ${about.name}`, oninput: () => ((filter = search.value), (scroller.scrollTop = 0), arrange()) });
    const tools = h(
        "div",
        { class: "tools" },
        search,
        told,
        h("span", { class: "space" }),
        button("Copy", "Copy these rows", () => copy([titles, ...cells()].map((row) => row.map((v) => (typeof v === "number" && Number.isNaN(v) ? "" : String(v).replace(/[\t\n\r]+/g, " "))).join("\t")).join("\n"), `${count(rows.length, "row")} copied`)),
        button("CSV", "Download these rows as CSV", () => save(`${about.name}.csv`, new Blob([toCsv(titles, cells())], { type: "text/csv" }))),
    );
    if (keyOf) {
        watch(table, draw);
    }
    scroller.style.maxHeight = `${about.height ?? 420}px`;
    arrange();
    // Heights are known once it is part of the page.
    requestAnimationFrame(draw);
    return h("div", { class: "tableview" }, tools, table);
}

/**
 * @param {Cells} column
 * @param {number | string} value
 */
function cellText(column, value) {
    if (typeof value === "number") {
        return Number.isNaN(value) ? "" : Number.isInteger(value) ? String(value) : short(value, 5);
    }
    return value.replace(/\n/g, "⏎");
}

/**
 * @param {string} text
 * @param {string} said
 */
function copy(text, said) {
    const old = () => {
        const area = h("textarea", null, text);
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
    };
    const done = () => announce(said);
    if (navigator.clipboard) {
        navigator.clipboard.writeText(text).then(done, () => (old(), done()));
    } else {
        old();
        done();
    }
}

/**
 * Calls when something was picked, as long as the element is part of the page.
 * @param {Element} element
 * @param {() => void} call
 */
function watch(element, call) {
    const watcher = () => {
        if (element.isConnected) {
            call();
        } else if (element.hasAttribute("data-shown")) {
            picked.watchers.delete(watcher);
        }
    };
    requestAnimationFrame(() => element.setAttribute("data-shown", ""));
    picked.watchers.add(watcher);
}
