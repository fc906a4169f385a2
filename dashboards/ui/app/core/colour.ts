// A colour per service: the same name has the same colour on every page and in both themes (only its lightness differs).

/** Hue from the name: FNV-1a, spread by the golden angle so that near hashes do not look alike. */
export function hueOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at += 1) {
    hash ^= name.charCodeAt(at);
    hash = Math.imul(hash, 0x01000193);
  }
  return ((hash >>> 0) * 0.618033988749895 % 1) * 360;
}

/** For style attributes; follows the theme by itself. */
export function serviceColour(name: string): string {
  return `hsl(${hueOf(name).toFixed(0)} var(--bar-saturation) var(--bar-lightness))`;
}

/** For the canvas, which cannot read variables. */
export function canvasColour(name: string, dark: boolean): string {
  return dark ? `hsl(${hueOf(name).toFixed(0)} 46% 58%)` : `hsl(${hueOf(name).toFixed(0)} 48% 52%)`;
}
