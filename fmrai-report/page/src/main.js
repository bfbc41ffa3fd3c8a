// Begins: with the document in this file, or with a server.

/** Versions of the format that this script reads. */
const READS = 1;

async function begin() {
    const place = document.getElementById("data");
    try {
        if (!place) {
            await beginLive();
            return;
        }
        const doc = await unpacked(place.textContent ?? "");
        if (doc.format !== READS) {
            throw new Error(`this page shows format ${READS}, the report in it has format ${doc.format}`);
        }
        const told = document.documentElement.dataset["only"];
        only.path = told ? JSON.parse(told) : null;
        frame(siteOf(doc), doc.title);
        document.documentElement.dataset["ready"] = "";
    } catch (error) {
        const text = typeof DecompressionStream === "undefined" ? "This browser is too old to open the report: it needs DecompressionStream (2023)." : `The report cannot be shown: ${error instanceof Error ? error.message : error}`;
        document.body.replaceChildren(h("p", { class: "notice error", role: "alert" }, text));
        console.error(error);
    }
}

void begin();
