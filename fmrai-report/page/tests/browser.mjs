// A real Chromium, without a window. The program comes inside a package, so nothing of the system is asked for; FMRAI_CHROMIUM names
// another one.

import { existsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const ARGUMENTS = ["--no-sandbox", "--no-zygote", "--single-process", "--disable-dev-shm-usage", "--font-render-hinting=none", "--force-color-profile=srgb"];

/** Starts it. Where the system lacks libraries that it needs, those of its package are taken. */
export async function launch() {
    const own = process.env.FMRAI_CHROMIUM;
    if (own && !existsSync(own)) {
        throw new Error(`FMRAI_CHROMIUM is ${own}, and there is no such file`);
    }
    // By this the package unpacks its libraries too.
    process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs24.x";
    const { default: chromium } = await import("@sparticuz/chromium");
    const { LD_LIBRARY_PATH } = process.env;
    const executablePath = own ?? (await chromium.executablePath());
    // The package's own configuration looks for its fonts in /tmp, wherever they were unpacked; without any font the browser ends.
    const fonts = join(tmpdir(), "fonts.conf");
    const [folder, cache] = ["fonts", "fonts-cache"].map((name) => join(tmpdir(), name));
    writeFileSync(fonts, `<?xml version="1.0"?>\n<fontconfig><dir>${folder}</dir><cachedir>${cache}</cachedir></fontconfig>\n`);
    const start = (/** @type {string | undefined} */ libraries) => {
        const env = { ...process.env, LD_LIBRARY_PATH: libraries, ...(own ? {} : { FONTCONFIG_FILE: fonts }) };
        return puppeteer.launch({ executablePath, args: ARGUMENTS, headless: "shell", protocolTimeout: 120_000, env });
    };
    try {
        return await start(LD_LIBRARY_PATH?.includes("al2023") ? undefined : LD_LIBRARY_PATH);
    } catch {
        return start(join(tmpdir(), "al2023", "lib"));
    }
}

/**
 * A page whose errors, and whose requests to anywhere else, are noted.
 * @param {import("puppeteer-core").Browser} browser
 * @param {string} url
 * @param {{ width?: number, height?: number, dark?: boolean }} [how]
 */
export async function opened(browser, url, { width = 1280, height = 860, dark = false } = {}) {
    const page = await browser.newPage();
    /** @type {string[]} */
    const problems = [];
    page.on("console", (message) => ["error", "warn"].includes(message.type()) && problems.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => problems.push(`error: ${error instanceof Error ? error.stack : error}`));
    // A stream of events ends when its page is left.
    page.on("requestfailed", (request) => request.url().includes("/api/events") || problems.push(`failed: ${request.url().slice(0, 200)}`));
    const home = new URL(url);
    page.on("request", (request) => {
        const to = new URL(request.url());
        const same = to.protocol === home.protocol && to.host === home.host && (home.protocol !== "file:" || to.pathname === home.pathname);
        if (!same && !["data:", "blob:"].includes(to.protocol)) {
            problems.push(`request: ${request.url()}`);
        }
    });
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
    const begin = performance.now();
    await page.goto(url, { waitUntil: "load" });
    await page.waitForFunction("document.documentElement.dataset.ready !== undefined || document.querySelector('.notice.error')", { timeout: 60_000 });
    return { page, problems, milliseconds: performance.now() - begin };
}
