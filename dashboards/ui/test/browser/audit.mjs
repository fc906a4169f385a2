// What a page must be for every reader, computed from what the browser has drawn: contrast of all text, names of all controls,
// no sideways scrolling of the page.

/** Text below 4.5:1 against the ground it stands on, as lines to read; controls that are disabled are exempt (WCAG 1.4.3). */
export function weakText(page) {
  return page.evaluate(() => {
    const parse = (text) => {
      const parts = (text.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
      const scale = text.startsWith("color(") ? 255 : 1;
      return { rgb: parts.slice(0, 3).map((one) => one * scale), alpha: parts[3] ?? 1 };
    };
    const over = (top, ground) => top.rgb.map((one, at) => one * top.alpha + ground[at] * (1 - top.alpha));
    const light = (rgb) => {
      const [r, g, b] = rgb.map((one) => { const part = one / 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
      const layers = [];
      for (let at = element; at; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour.alpha > 0) layers.push(colour);
        if (colour.alpha === 1) break;
      }
      return layers.reverse().reduce((ground, layer) => over(layer, ground), parse(getComputedStyle(document.documentElement).backgroundColor).rgb);
    };
    const opacityOf = (element) => { let product = 1; for (let at = element; at; at = at.parentElement) product *= Number(getComputedStyle(at).opacity); return product; };
    const weak = new Set();
    const judge = (element, colour, text) => {
      if (element.closest(":disabled, [hidden], noscript, option") || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return;
      const ground = groundOf(element);
      const ink = parse(colour);
      const shown = over({ rgb: ink.rgb, alpha: ink.alpha * opacityOf(element) }, ground);
      const [low, high] = [light(shown), light(ground)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) weak.add(`${ratio.toFixed(2)} ${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}: ${text.trim().slice(0, 40)}`);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { textContent: text, parentElement: element } = walker.currentNode;
      if (!text.trim() || !element) continue;
      const style = getComputedStyle(element);
      judge(element, element instanceof SVGElement ? style.fill : style.color, text);
    }
    for (const input of document.querySelectorAll("input, select, textarea")) {
      judge(input, getComputedStyle(input).color, input.value || input.tagName);
      if (input.placeholder && !input.value) judge(input, getComputedStyle(input, "::placeholder").color, input.placeholder);
    }
    return [...weak];
  });
}

/** Whether the page itself scrolls sideways, and what sticks out. Charts follow a new width a frame later: see `settled`. */
function sticksOut(page) {
  return page.evaluate(() => {
    const root = document.scrollingElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const scrolls = (element) => { for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) if (getComputedStyle(at).overflowX !== "visible") return true; return false; };
    const out = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(one));
    return [`${root.scrollWidth} of ${root.clientWidth} px`, ...out.slice(0, 8).map((one) => `${one.tagName.toLowerCase()}.${one.getAttribute("class") ?? ""} to ${Math.round(one.getBoundingClientRect().right)}`)];
  });
}

/** What sticks out once the page has had its time to follow a new width. */
export async function settled(page) {
  await page.waitForFunction(() => document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth, null, { timeout: 5_000 }).catch(() => { /* what sticks out is told next */ });
  return sticksOut(page);
}

/** Controls, pictures, tables and regions without a name, ids used twice: what assistive technology cannot tell apart. */
export function nameless(page) {
  return page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    const twice = [...new Set(ids.filter((id, at) => ids.indexOf(id) !== at))].map((id) => `id ${id} twice`);
    const wanted = "button, a[href], input, select, textarea, summary, img, table, dialog, nav, [role=img], [role=group], [role=region], [role=search]:empty";
    const said = (id) => document.getElementById(id)?.textContent.trim() ?? "";
    // What is hidden from assistive technology gives no name: a glyph alone is none.
    const spoken = (element) => [...element.childNodes].map((node) => (node.nodeType === Node.TEXT_NODE ? node.textContent : node.nodeType === Node.ELEMENT_NODE && node.getAttribute("aria-hidden") !== "true" ? spoken(node) : "")).join("").trim();
    const named = (element) => (element.getAttribute("aria-label") ?? "").trim() || (element.getAttribute("aria-labelledby") ?? "").split(" ").map(said).join("") || [...element.labels ?? []].map(spoken).join("") || element.getAttribute("alt")
      || (element.matches("button, a, summary") ? spoken(element) || element.getAttribute("title") : "");
    const silent = [...document.querySelectorAll(wanted)].filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true]") && !named(one));
    return [...twice, ...silent.map((one) => `no name: ${one.outerHTML.slice(0, 120)}`)];
  });
}
