// The live page: the same pages, their documents from the server that this one came from.

async function beginLive() {
    /** @type {Map<string, ReportDocument>} */
    const documents = new Map();
    /** @type {Json} */
    let runs = await asked("api/runs");
    /** @type {EventSource | null} */
    let stream = null;
    let watched = "";
    /** @type {Json} */
    let progress = null;
    const place = h("div");

    /** @param {string} run */
    const follow = (run) => {
        if (watched === run) {
            return;
        }
        stream?.close();
        watched = run;
        progress = null;
        place.replaceChildren();
        if (run === "") {
            return;
        }
        stream = new EventSource(query("api/events", { run }));
        stream.addEventListener("progress", (e) => {
            progress = JSON.parse(e.data);
            place.replaceChildren(progressView(progress));
        });
        stream.addEventListener("results", () => load(run));
    };
    /** @param {string} run */
    const load = (run) => {
        asked(query("api/document", { run })).then(
            (doc) => {
                const first = !documents.has(run);
                documents.set(run, /** @type {ReportDocument} */ (/** @type {unknown} */ (doc)));
                // What a visitor has asked for stays: only pages of the document are drawn again.
                if (first || !more.some(([own]) => own === here().path[2])) {
                    page.refresh();
                }
            },
            (error) => {
                failed.set(run, error instanceof Error ? error.message : String(error));
                page.refresh();
            },
        );
    };
    /** @type {Map<string, string>} */
    const failed = new Map();
    const more = /** @type {[string, string][]} */ ([["try", "Try a text"], ["ask", "Ask the stores"], ["activations", "Stored activations"]]);
    /** @type {Site} */
    const site = {
        places: () => {
            const [kind = "", run = ""] = here().path;
            const doc = documents.get(run);
            const own = kind === "run" && doc ? siteOf(doc).places() : [];
            return /** @type {Place[]} */ ([
                { path: [], name: "Runs", group: "", status: "" },
                { path: ["compare"], name: "Compare", group: "", status: "" },
                ...own.map((p) => ({ ...p, path: ["run", run, ...p.path], group: p.group === "" ? run : p.group })),
                ...(doc ? more.map(([page, name]) => ({ path: ["run", run, page], name, group: "Live", status: "" })) : []),
            ]);
        },
        content: ([kind = "", run = "", ...rest]) => {
            within.path = kind === "run" ? ["run", run] : [];
            follow(kind === "run" ? run : "");
            if (kind === "compare") {
                return { title: "Compare two runs", parts: comparePage(runs) };
            }
            if (kind !== "run") {
                const list = asked("api/runs").then((now) => ((runs = now), now));
                return { title: "Runs", parts: [awaited(list, runsView)] };
            }
            const doc = documents.get(run);
            if (failed.has(run)) {
                return { title: run, parts: [notice(failed.get(run) ?? "", "error")] };
            }
            if (!doc) {
                load(run);
                return { title: run, parts: [h("p", { class: "quiet" }, "…")] };
            }
            const name = more.find(([page]) => page === rest[0])?.[1];
            if (name) {
                const parts = rest[0] === "try" ? textPage(run) : rest[0] === "ask" ? askPage(run) : activationsPage(run);
                return { title: name, parts: [place, parts] };
            }
            const shown = siteOf(doc).content(rest);
            return { title: rest.length === 0 ? run : shown.title, parts: [place, shown.parts] };
        },
    };
    const page = frame(site, "live");
    document.documentElement.dataset["ready"] = "";
}
