// Pages in a real Chromium: from files, and from the server. FMRAI_PAGES has the specimens and room for runs, FMRAI_PROGRAM is the program,
// FMRAI_ROOT the project.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, opened } from "./browser.mjs";

const pages = process.env.FMRAI_PAGES ?? "";
const program = process.env.FMRAI_PROGRAM ?? "";
const root = process.env.FMRAI_ROOT ?? "";
const specimen = (name) => `file://${join(pages, name)}.html`;

/** @type {import("puppeteer-core").Browser | null} */
let browser = null;
/** @type {string} */
let why = "";
before(async () => {
    try {
        browser = await launch();
    } catch (error) {
        // Said plainly, and in every test that is left out.
        why = `left out: Chromium cannot be started here (${error instanceof Error ? error.message.split("\n")[0] : error})`;
        console.log(why);
        if (process.env.FMRAI_BROWSER === "required") {
            throw error;
        }
    }
});
after(async () => browser?.close());

/**
 * A test with a page; nothing may go wrong on it, and nothing may be asked of anywhere else.
 * @param {string} name
 * @param {() => string} url
 * @param {(page: import("puppeteer-core").Page, more: { milliseconds: number }) => Promise<void>} check
 * @param {{ expected?: RegExp }} [how] `expected` is a complaint of the browser that belongs to the test
 */
function on(name, url, check, how) {
    test(name, async (t) => {
        if (!browser) {
            t.skip(why);
            return;
        }
        const { page, problems, milliseconds } = await opened(browser, url(), how);
        try {
            await check(page, { milliseconds });
            assert.deepEqual(problems.filter((problem) => !how?.expected?.test(problem)), []);
            assert.equal(await page.evaluate("window.harmed"), undefined, "a text of the model ran as a script");
        } finally {
            await page.close();
        }
    });
}

const text = (page, selector) => page.$eval(selector, (e) => e.textContent);
const count = (page, selector) => page.$$eval(selector, (all) => all.length);
const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(undefined)))));
const click = (page, label) => page.$$eval("button", (all, wanted) => all.find((b) => b.textContent?.trim() === wanted || b.getAttribute("aria-label") === wanted)?.click(), label);

on("every kind of figure is drawn, with hostile texts as texts", () => specimen("every-kind") + "#/analysis/every-kind", async (page, { milliseconds }) => {
    assert.ok(milliseconds < 5000, `${milliseconds} ms`);
    await page.waitForSelector(".figure svg");
    assert.equal(await count(page, "figure.figure"), 8);
    assert.equal(await count(page, ".plot svg"), 8, "two panels of one figure, and passages that are text");
    assert.ok((await count(page, ".passage .token")) > 50);
    assert.match(await text(page, ".notice.warning"), /<\/script><script>window\.harmed = 1<\/script>/);
    assert.equal(await count(page, "main img, main script, main iframe"), 0);
    assert.ok(!(await text(page, "main")).includes("\u202e"), "marks that turn the direction are gone");
});

on("a notebook shows parts of a document in frames that cannot reach it", () => specimen("notebook"), async (page) => {
    const frames = page.frames().filter((frame) => frame !== page.mainFrame());
    assert.equal(frames.length, 5);
    for (const frame of frames) {
        await frame.waitForFunction("document.documentElement.dataset.ready !== undefined || document.querySelector('.notice.error[role=alert]')");
        assert.equal(await frame.evaluate("origin"), "null", "an origin of its own");
    }
    const [report, model, structure, attention, whole] = frames;
    for (const part of [report, model, structure, attention]) {
        assert.equal(await count(part, "#nav"), 0);
        assert.equal(await count(part, "a[href^='#/']"), 0, "there is nowhere to go");
    }
    assert.equal(await count(report, ".figure"), 8);
    await report.$eval("#figure-heat-map .plot svg rect:nth-of-type(5)", (cell) => cell.dispatchEvent(new MouseEvent("click", { bubbles: true })));
    for (const [part, graphs] of /** @type {const} */ ([[model, 1], [structure, 0]])) {
        assert.match(await text(part, "main h2"), /What was found/);
        assert.equal(await count(part, ".graphpane"), graphs);
    }
    assert.ok((await count(attention, ".headgrid button")) > 30);
    await attention.$eval(".headgrid button:nth-of-type(3)", (head) => head.click());
    assert.match(await text(attention, ".onehead h3"), /head 2/);
    await whole.$eval("#nav a[href*='analysis/every-kind']", (link) => link.click());
    await whole.waitForSelector("#figure-heat-map");
    assert.equal(page.frames().length, 6, "a link of a frame goes within the frame");
    assert.match(page.url(), /notebook\.html$/);
});

on("pointing tells values, picking links figures and is in the address", () => specimen("every-kind") + "#/analysis/every-kind", async (page) => {
    // A figure is drawn again when its width is known: a locator looks for the cell anew when it has gone.
    const cell = page.locator("#figure-heat-map .plot svg rect:nth-of-type(5)");
    await cell.hover();
    await page.waitForSelector("#tip:not([hidden])");
    assert.match(await text(page, "#tip"), /layer 0.*head.*entropy .* nats/s);
    await cell.click();
    await settled(page);
    assert.match(decodeURIComponent(page.url()), /pick=layer 0 head \d/);
    assert.ok((await count(page, "#figure-scatter .overlay circle")) >= 2, "the same head in another figure");
    await page.$eval(".lazy", (e) => e.scrollIntoView());
    await page.waitForSelector(".table .row.picked");
    await page.locator("#picks .pick").click();
    await settled(page);
    assert.equal(await count(page, "#figure-scatter .overlay circle"), 0);
});

on("a figure is gone through by keys, zoomed, sorted, hidden and shown as a table", () => specimen("every-kind") + "#/analysis/every-kind", async (page) => {
    await page.focus("#figure-heat-map .plot");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    assert.match(await text(page, "#said"), /layer 1.*head 0.*entropy/);
    await page.keyboard.press("Enter");
    assert.match(decodeURIComponent(page.url()), /pick=layer 1 head 0/);
    const rects = () => count(page, "#figure-heat-map .plot svg > rect");
    const all = await rects();
    await page.$eval("#figure-heat-map [aria-label='Zoom in']", (b) => b.click());
    assert.ok((await rects()) < all, "fewer cells are in view");
    await page.$eval("#figure-heat-map [aria-label='Show everything']", (b) => b.click());
    assert.equal(await rects(), all);
    const labels = () => page.$$eval("#figure-heat-map .plot svg > text", (texts) => texts.map((t) => t.textContent).join());
    const given = await labels();
    await page.select("#figure-heat-map select", "rows");
    assert.notEqual(await labels(), given);
    const before = await page.$eval("#figure-lines .plot svg", (svg) => svg.querySelectorAll("path").length);
    await page.$eval("#figure-lines .legend button", (b) => b.click());
    assert.ok((await page.$eval("#figure-lines .plot svg", (svg) => svg.querySelectorAll("path").length)) < before);
    await page.$eval("#figure-bars [title='Show the numbers as a table']", (b) => b.click());
    assert.match(await text(page, "#figure-bars .table"), /layer.*group.*share/s);
});

on("figures are downloaded as SVG and PNG, all kinds of them", () => specimen("every-kind") + "#/analysis/every-kind", async (page) => {
    await page.evaluate(() => {
        window.saved = [];
        HTMLAnchorElement.prototype.click = function () {
            window.saved.push(this.download); // nothing is written to a disk
        };
        URL.createObjectURL = ((make) => (blob) => ((window.blobs ??= []).push(blob), make.call(URL, blob)))(URL.createObjectURL);
    });
    const figures = await page.$$eval("figure.figure", (all) => all.length);
    for (const kind of ["SVG", "PNG", "CSV"]) {
        await page.$$eval("figure.figure", (all, kind) => all.forEach((f) => [...f.querySelectorAll(".tools button")].find((b) => b.textContent === kind)?.click()), kind);
    }
    await page.waitForFunction((n) => window.blobs?.length === 3 * n, {}, figures);
    const kinds = await page.evaluate(() => Promise.all(window.blobs.map(async (b) => [b.type, b.size, b.type === "image/svg+xml" ? new DOMParser().parseFromString(await b.text(), "image/svg+xml").querySelectorAll("parsererror").length : 0])));
    assert.deepEqual(kinds.map(([type]) => type).sort(), [...Array(figures).fill("image/png"), ...Array(figures).fill("image/svg+xml"), ...Array(figures).fill("text/csv")]);
    kinds.forEach(([type, size, broken]) => assert.ok(size > (type === "text/csv" ? 40 : 1000) && broken === 0, `${type} of ${size} bytes, ${broken} errors`));
});

on("ten thousand rows are sorted and filtered without freezing", () => specimen("every-kind") + "#/analysis/every-kind", async (page) => {
    await page.$eval(".lazy", (e) => e.scrollIntoView());
    await page.waitForSelector(".lazy .table .rows .row");
    assert.ok((await count(page, ".lazy .table .rows .row")) < 80, "only rows in view are elements");
    const begin = await page.evaluate(() => performance.now());
    await page.$$eval(".lazy .table .head button", (all) => all.find((b) => b.textContent?.startsWith("entropy"))?.click());
    const first = await text(page, ".lazy .table .rows .row .cell:nth-child(3)");
    assert.ok(Number(first) > 0.999, first);
    await page.type(".lazy input[type=search]", "layer = 3 entropy > 0.5");
    const rows = await text(page, ".lazy .tools [role=status]");
    assert.match(rows, /^[45]\d\d of 10,000 rows$/);
    assert.ok((await page.evaluate(() => performance.now())) - begin < 8000);
});

on("the graph is opened down to an operation, searched, and linked to", () => specimen("every-kind") + "#/model?by=module", async (page) => {
    await page.waitForSelector("svg.graph .group.closed");
    const boxes = () => count(page, "svg.graph .group, svg.graph .node");
    const closed = await boxes();
    await page.$eval("svg.graph .group.closed", (g) => g.dispatchEvent(new MouseEvent("click", { bubbles: true })));
    assert.ok((await boxes()) > closed);
    await page.type(".graphview input[type=search]", "softmax");
    await page.waitForSelector(".results li");
    await page.locator(".results li button").click();
    assert.match(await text(page, ".details"), /aten::softmax\.int.*constants.*dim=-1.*takes.*makes/s);
    assert.match(page.url(), /node=\d+/);
    assert.ok((await count(page, "svg.graph .edge.chosen")) > 0);
    const url = page.url();
    await page.goto("about:blank");
    await page.goto(url);
    await page.waitForSelector(".details h4 code");
    assert.equal(await text(page, ".details h4 code"), "aten::softmax.int", "the address says what is chosen");
});

on("attention is looked at by head and by token", () => specimen("every-kind") + "#/analysis/attention", async (page) => {
    await page.waitForSelector(".headgrid .thumb");
    assert.equal(await count(page, ".headgrid .thumb"), 4 * 9, "every head, and the mean of each layer");
    await page.$eval(".headgrid [aria-label='layer 2, head 3']", (b) => b.click());
    assert.equal(await text(page, ".onehead h3"), "layer 2, head 3");
    await page.$eval(".strip button:nth-child(4)", (b) => b.click());
    await settled(page);
    assert.match(page.url(), /head=2\.3.*token=3/);
    assert.ok((await count(page, ".lines svg line")) > 0);
});

on("cards of memories are searched and sorted", () => specimen("every-kind") + "#/analysis/memories", async (page) => {
    await page.waitForSelector(".cardsview .card");
    const all = await text(page, ".cardsview [role=status]");
    assert.match(all, /240 of 240 cards/);
    await page.type(".cardsview input[type=search]", "neuron 17");
    assert.match(await text(page, ".cardsview [role=status]"), /^\d{1,2} of 240/);
    await click(page, "Show the cards with the same passages");
    assert.ok((await text(page, ".alike")).length > 20);
});

on("a large model opens at once and is small enough to send", () => specimen("large") + "#/model", async (page, { milliseconds }) => {
    assert.ok(statSync(join(pages, "large.html")).size < 5 * 1024 * 1024, "bytes");
    assert.ok(milliseconds < 10_000, `${milliseconds} ms`);
    await page.waitForSelector("svg.graph .group.closed");
    await click(page, "Open all groups, as far as they can be drawn");
    assert.ok((await count(page, "svg.graph .group, svg.graph .node")) <= 1600);
    await page.goto(specimen("large") + "#/analysis/large");
    await page.waitForSelector("#figure-distances image, #figure-distances canvas");
    assert.match(await page.evaluate(() => ((location.hash = "#/"), new Promise((done) => setTimeout(() => done(document.querySelector("main")?.textContent ?? ""), 300)))), /leaves out.*means of/s);
    console.log(`large: ${statSync(join(pages, "large.html")).size} bytes, opened in ${Math.round(milliseconds)} ms`);
});

on("a failed analysis says why, and one without a figure that it has none", () => specimen("failed"), async (page) => {
    assert.match(await text(page, "main"), /an analysis failed/);
    await page.evaluate(() => (location.hash = "#/analysis/broken"));
    await page.waitForSelector(".notice.error");
    assert.match(await text(page, ".notice.error"), /failed in track_batch: the token <\/script>/);
    await page.evaluate(() => (location.hash = "#/analysis/no-figure"));
    await page.waitForFunction(() => document.querySelector("main")?.textContent?.includes("no figure or table"));
    await page.evaluate(() => (location.hash = "#/nowhere/at/all"));
    await page.waitForFunction(() => document.querySelector("main")?.textContent?.includes("has no page"));
});

on("a report of nothing is a report", () => specimen("nothing"), async (page) => {
    assert.match(await text(page, "main"), /no analyses/);
});

for (const [size, width, height] of [["phone", 390, 844], ["tablet", 820, 1180], ["screen", 1440, 900]]) {
    for (const dark of [false, true]) {
        on(`nothing is wider than a ${size}, ${dark ? "dark" : "light"}`, () => specimen("every-kind") + "#/analysis/every-kind", async (page) => {
            for (const path of ["#/", "#/model", "#/analysis/every-kind", "#/analysis/attention", "#/analysis/memories"]) {
                await page.evaluate((to) => (location.hash = to), path);
                await settled(page);
                await new Promise((done) => setTimeout(done, 150));
                const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
                assert.ok(wide <= room + 1, `${path}: ${wide} of ${room} pixels`);
            }
            const unnamed = await page.$$eval("button, input, select, svg[role=img]", (all) => all.filter((e) => !(e.getAttribute("aria-label") || e.textContent?.trim() || e.closest("label"))).map((e) => e.outerHTML.slice(0, 120)));
            assert.deepEqual(unnamed, [], "everything that can be used has a name");
            const contrast = await page.evaluate(() => {
                const part = (c) => c.match(/[\d.]+/g).slice(0, 3).map((x) => (x / 255 <= 0.03928 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
                const light = (c) => part(c).reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
                const paper = light(getComputedStyle(document.documentElement).backgroundColor);
                return [...document.querySelectorAll("h1, p.quiet, a, dt")].slice(0, 60).map((e) => {
                    const own = light(getComputedStyle(e).color);
                    return [(Math.max(own, paper) + 0.05) / (Math.min(own, paper) + 0.05), e.tagName];
                }).filter(([ratio]) => ratio < 4.5);
            });
            assert.deepEqual(contrast, [], "texts that are hard to read");
        }, { width, height, dark });
    }
}

/** A run of a small model, complete, and one like it. */
function runs() {
    const place = mkdtempSync(join(pages, "runs-"));
    for (const [name, smoothing] of [["one", 0], ["two", 0.01]]) {
        const plan = {
            format: 1,
            model: { type: "hf_checkpoint", path: join(root, "tests/reference/decoders/gpt2") },
            data: { type: "pairs", path: join(root, "tests/reference/experiments/gpt2/pairs.jsonl"), batch_size: 2 },
            analyses: [{ type: "attention_patterns", smoothing }, { type: "attention_view", texts: 2 }, { type: "ffn_key_value" }, { type: "logit_lens" }],
            capture: { select: ["attention[0].probabilities"] },
            output: `runs/${name}`,
        };
        writeFileSync(join(place, `${name}.json`), JSON.stringify(plan));
        const ended = spawnSync(program, ["run", join(place, `${name}.json`)], { encoding: "utf8" });
        assert.equal(ended.status, 0, ended.stderr);
    }
    return join(place, "runs");
}

let folder = "";
/** @type {import("node:child_process").ChildProcess | null} */
let server = null;
let url = "";
before(async () => {
    if (!program) {
        return;
    }
    folder = runs();
    server = spawn(program, ["serve", folder], { stdio: ["ignore", "pipe", "inherit"] });
    url = await new Promise((done) => server.stdout.once("data", (line) => done(String(line).trim())));
});
after(() => server?.kill("SIGINT"));

on("report.html of a run is whole, and the same from a file", () => `file://${join(folder, "one/report.html")}#/analysis/attention_view`, async (page) => {
    await page.waitForSelector(".headgrid .thumb");
    await page.evaluate(() => (location.hash = "#/analysis/ffn_key_value"));
    await page.waitForSelector(".cardsview .card .passage .token.marked");
    await page.evaluate(() => (location.hash = "#/model"));
    await page.waitForSelector("svg.graph .group.closed");
    await page.evaluate(() => (location.hash = "#/"));
    await page.waitForFunction(() => document.querySelector(".notice.good")?.parentElement?.textContent?.includes("same outputs as the untouched"));
});

/**
 * A file of float32, as NumPy has it.
 * @param {string} file
 * @param {number[]} shape
 */
function images(file, shape) {
    const values = Float32Array.from({ length: shape.reduce((n, size) => n * size, 1) }, (_, i) => Math.sin(i / 7));
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`.padEnd(117) + "\n";
    const start = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
    writeFileSync(file, Buffer.concat([start, Buffer.from(header), Buffer.from(values.buffer)]));
}

/** The report of a model of images. */
function vision() {
    const place = mkdtempSync(join(pages, "vision-"));
    images(join(place, "images.npy"), [3, 3, 8, 8]);
    const plan = {
        format: 1,
        model: { type: "exported_program", path: join(root, "tests/reference/programs/vit.pt2") },
        data: { type: "tensors", files: { pixel_values: "images.npy" } },
        analyses: [{ type: "attention_patterns" }, { type: "attention_view" }, { type: "neuron_view" }],
        output: "out",
    };
    writeFileSync(join(place, "plan.json"), JSON.stringify(plan));
    const ended = spawnSync(program, ["run", join(place, "plan.json")], { encoding: "utf8" });
    assert.equal(ended.status, 0, ended.stderr);
    return `file://${join(place, "out/report.html")}`;
}

on("the report of a vision model has its patches for tokens", () => `${vision()}#/analysis/attention_view`, async (page) => {
    await page.waitForSelector(".headgrid .thumb");
    await page.evaluate(() => (location.hash = "#/analysis/neuron_view"));
    await page.waitForSelector("#figure-strongest .plot svg");
    await page.$eval("details.fold", (fold) => fold.scrollIntoView());
    await page.waitForFunction(() => /L\d+N\d+/.test(document.querySelector("[role=table]")?.textContent ?? ""));
    await page.evaluate(() => (location.hash = "#/model"));
    await page.waitForSelector("svg.graph .group.closed");
});

on("runs are listed, opened and compared", () => url, async (page) => {
    await page.waitForSelector(".tile");
    assert.equal(await count(page, ".tile"), 2);
    await page.locator(".tile").click();
    await page.waitForSelector("#nav a[href*='attention_patterns']");
    await page.evaluate(() => (location.hash = "#/compare"));
    await page.waitForSelector(".fold summary");
    assert.match(await text(page, "main"), /the same model.*the same data.*another plan.*entropy/s);
});

on("a text is run through the model of a run", () => `${url}#/run/runs%2Fone/try`, async (page) => {
    await page.waitForSelector("textarea");
    await page.type("textarea", "the cat sat by the door");
    await click(page, "Run the model on it");
    await page.waitForSelector(".headgrid .thumb", { timeout: 60_000 });
    assert.match(await text(page, "main"), /What it predicts next.*Attention.*Strongest neurons.*L\d+N\d+.*Logit lens/s);
    await click(page, "Run the model on it");
    await page.waitForFunction(() => document.querySelectorAll(".headgrid").length === 1 && document.querySelector("[aria-busy]") === null);
    console.log(`a text: ${await text(page, "main [role=status]")}`);
});

on("stores are asked, by question and by SQL, and cannot be changed", () => `${url}#/run/runs%2Fone/ask`, async (page) => {
    await page.waitForSelector("form");
    await page.$$eval("details.fold", (all) => all.forEach((d) => (d.open = true)));
    await page.$$eval("form", (all) => all.find((f) => f.closest("details")?.querySelector("summary")?.textContent === "memories")?.requestSubmit());
    await page.waitForSelector(".cardsview .card");
    await click(page, "Run it");
    await page.waitForFunction(() => [...document.querySelectorAll("[role=table]")].some((t) => t.getAttribute("aria-label")?.endsWith("answer")));
    await page.$eval("textarea.sql", (area) => (area.value = "DELETE FROM tokens"));
    await click(page, "Run it");
    await page.waitForFunction(() => document.querySelector(".notice.error")?.textContent?.includes("not authorized"));
}, { expected: /status of 400/ });

on("stored activations are shown by text and tensor", () => `${url}#/run/runs%2Fone/activations`, async (page) => {
    await page.waitForSelector("#figure-activation .plot svg");
});

/** @param {object} how @returns {Promise<{ status: number, text: string }>} */
function raw(how) {
    const at = new URL(url);
    return new Promise((done, fail) => {
        const request = http.request({ host: at.hostname, port: at.port, method: "GET", ...how }, (response) => {
            let text = "";
            response.on("data", (part) => (text += part));
            response.on("end", () => done({ status: response.statusCode ?? 0, text }));
        });
        request.on("error", fail);
        request.end(how.body);
    });
}

on("a run that goes on is seen going on, and ending", () => url, async (page) => {
    const place = join(folder, "..");
    writeFileSync(join(place, "long.txt"), "the cat sat by the door and looked\n".repeat(4000));
    const plan = {
        format: 1,
        model: { type: "hf_checkpoint", path: join(root, "tests/reference/decoders/gpt2") },
        data: { type: "text", path: "long.txt", batch_size: 4 },
        analyses: [{ type: "attention_patterns" }],
        output: "runs/three",
        checkpoint_seconds: 1,
    };
    writeFileSync(join(place, "three.json"), JSON.stringify(plan));
    const run = spawn(program, ["run", join(place, "three.json")], { stdio: "ignore" });
    const ended = new Promise((done) => run.once("exit", done));
    try {
        for (let waited = 0; waited < 300 && !existsSync(join(folder, "three/.checkpoint/progress.json")); waited += 1) {
            await new Promise((done) => setTimeout(done, 100));
        }
        await page.evaluate(() => (location.hash = "#/run/runs%2Fthree"));
        await page.waitForSelector(".notice.live [role=progressbar]", { timeout: 30_000 });
        const share = () => page.$eval(".notice.live [role=progressbar]", (bar) => Number(bar.getAttribute("aria-valuenow")));
        const first = await share();
        await page.waitForFunction((before) => !document.querySelector(".notice.live") || Number(document.querySelector(".notice.live [role=progressbar]")?.getAttribute("aria-valuenow")) > before, { timeout: 60_000 }, first);
        assert.equal(await ended, 0);
        await page.waitForFunction(() => !document.querySelector(".notice.live") && document.querySelector("#nav a[href*='attention_patterns']"), { timeout: 30_000 });
    } finally {
        run.kill("SIGKILL");
    }
});

test("the server lets nobody in who has no business there", { skip: !program }, async () => {
    const { pathname, host } = new URL(url);
    const get = (path, headers = {}) => raw({ path, headers });
    assert.equal((await get(pathname)).status, 200);
    const other = pathname.at(-2) === "0" ? "1" : "0";
    for (const path of ["/", "/api/runs", `${pathname.slice(0, -2)}${other}/`, `/..${pathname}`]) {
        assert.equal((await get(path)).status, 404, path);
    }
    assert.equal((await get(pathname, { host: `evil.example:${new URL(url).port}` })).status, 421, "rebinding");
    assert.equal((await get(`${pathname}api/runs`, { origin: "http://evil.example" })).status, 403, "another page");
    assert.equal((await get(`${pathname}api/runs`, { origin: `http://${host}` })).status, 200);
    for (const run of ["../one", "/etc", "runs/one/../../..", "runs%00", "..%2f..%2fetc%2fpasswd"]) {
        assert.equal((await get(`${pathname}api/document?run=${run}`)).status, 404, run);
    }
    for (const path of ["summary.json", "../summary.json", "api/../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "runs/one/summary.json"]) {
        const found = await get(pathname + path);
        assert.equal(found.status, 404, path);
    }
    const ask = (body, headers = {}) => raw({ path: `${pathname}api/sql`, method: "POST", headers: { "content-type": "application/json", ...headers }, body });
    const sql = (text, analysis = "ffn_key_value") => JSON.stringify({ run: "runs/one", analysis, sql: text });
    assert.equal((await ask(sql("SELECT 1"))).status, 200);
    assert.equal((await ask(sql("SELECT 1", "../one/ffn_key_value"))).status, 404);
    for (const harm of ["ATTACH 'x' AS y", "PRAGMA journal_mode = wal", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "DROP TABLE tokens", ""]) {
        assert.equal((await ask(sql(harm))).status, 400, harm);
    }
    const slow = performance.now();
    assert.equal((await ask(sql("WITH RECURSIVE up(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM up) SELECT count(*) FROM up"))).status, 400);
    assert.ok(performance.now() - slow < 20_000, "a query without an end is stopped");
    assert.ok([400, 413].includes((await ask("x".repeat(100_000))).status), "a huge request");
    assert.equal((await ask("{")).status, 400);
});

test("a slow request is ended, and many at a time are answered", { skip: !program }, async () => {
    const { hostname, port, pathname } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: `);
    const begin = performance.now();
    await new Promise((done) => socket.once("close", done));
    assert.ok(performance.now() - begin < 20_000, "its header never came");
    const from = performance.now();
    const answers = await Promise.all(Array.from({ length: 100 }, () => raw({ path: `${pathname}api/runs` })));
    const busy = answers.filter(({ status }) => status === 503).length;
    assert.ok(answers.every(({ status }) => status === 200 || status === 503));
    console.log(`100 requests at once: ${Math.round(performance.now() - from)} ms, ${busy} told to come again`);
    assert.equal((await raw({ path: `${pathname}api/runs` })).status, 200);
});

test("the page of a run is small, and opens fast", { skip: !program }, async (t) => {
    if (!browser) {
        t.skip(why);
        return;
    }
    const file = join(folder, "one/report.html");
    assert.ok(readFileSync(file).length < 2_000_000);
    const { page, milliseconds } = await opened(browser, `file://${file}`);
    console.log(`report.html: ${statSync(file).size} bytes, opened in ${Math.round(milliseconds)} ms`);
    assert.ok(milliseconds < 5000);
    await page.close();
});
