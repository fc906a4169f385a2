// Starts Chromium for tests and watches a page for everything that would be a fault: console errors, exceptions, failed requests.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps", "--hide-scrollbars"];

/** The browser to use: DAYTWO_CHROMIUM, or where Debian puts it. */
export function executable() {
  return [process.env.DAYTWO_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => path && existsSync(path));
}

export async function launch() {
  const executablePath = executable();
  if (!executablePath) throw new Error("no Chromium found: install the package chromium, or set DAYTWO_CHROMIUM to its path");
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A page and the list of its faults. `expected` drops messages that the scenario causes on purpose; `still` asks for no motion. */
export async function open(browser, { theme = "light", expected = () => false, width = 1600, height = 900, still = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: still ? "reduce" : "no-preference", permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults = [];
  const note = (text) => { if (!expected(text)) faults.push(text); };
  page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") note(`console: ${message.text()} ${message.location().url}`); });
  page.on("pageerror", (error) => note(`exception: ${error.message}`));
  page.on("requestfailed", (request) => { if (!/ERR_ABORTED/.test(request.failure()?.errorText ?? "")) note(`request: ${request.url()} ${request.failure()?.errorText}`); });
  return { page, context, faults };
}
