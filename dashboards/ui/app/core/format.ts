// Numbers and times as text: at most three significant digits, units always, the exact value for a title.
// Unknown (null) is an em dash, never 0.

export const UNKNOWN = "—";

/** Rounds to three significant digits without an exponent: 1234 -> "1230", 0.01234 -> "0.0123". */
export function digits(value: number, significant = 3): string {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude >= significant - 1) {
    const step = 10 ** (magnitude - significant + 1);
    return String(Math.round(value / step) * step);
  }
  const places = Math.min(12, significant - 1 - magnitude);
  const text = value.toFixed(places);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A whole number with thin thousands separators: 5891496 -> "5,891,496". */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A large number shortened: 1234567 -> "1.23 M". */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const steps: [number, string][] = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]];
  for (const [step, unit] of steps) if (Math.abs(value) >= step) return digits(value / step) + unit;
  return digits(value);
}

/** A duration given in milliseconds, in the unit that reads best. */
export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size === 0) return "0 ms";
  if (size < 0.001) return `${digits(value * 1e6)} ns`;
  if (size < 1) return `${digits(value * 1e3)} µs`;
  if (size < 1000) return `${digits(value)} ms`;
  if (size < 60_000) return `${digits(value / 1000)} s`;
  return span(value / 1000);
}

export function ns(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : ms(value / 1e6);
}

/** A length of time in seconds, in its two largest units: 19200 -> "5 h 20 m". */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const sign = seconds < 0 ? "−" : "";
  let rest = Math.abs(Math.round(seconds));
  if (rest < 60) return `${sign}${rest} s`;
  const parts: string[] = [];
  for (const [size, unit] of [[86_400, "d"], [3600, "h"], [60, "m"], [1, "s"]] as [number, string][]) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0) parts.push(`${whole} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return sign + parts.join(" ");
}

/** A fraction as a percentage with three significant digits. */
export function percent(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return UNKNOWN;
  return `${minus(digits(fraction * 100))} %`;
}

/** An SLI: enough digits to tell 99.9 % from 99.99 %. */
export function nines(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return UNKNOWN;
  if (fraction >= 1) return "100 %";
  const left = (1 - fraction) * 100;
  // Three places keep a column aligned; more only where the rest would vanish.
  const places = left >= 0.0099999 ? 3 : Math.min(7, Math.ceil(-Math.log10(left) - 1e-6) + 1);
  const factor = 10 ** places;
  // Rounded down: 99.9999 % must not show as 100 %.
  return `${(Math.floor(fraction * 100 * factor + 1e-7) / factor).toFixed(places)} %`;
}

/** A target as it was written: 0.999 -> "99.9 %". */
export function target(fraction: number): string {
  return `${Number((fraction * 100).toFixed(6))} %`;
}

/** A relative change with its sign: 0.62 -> "+62 %". */
export function change(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return UNKNOWN;
  const shown = Math.abs(fraction) >= 0.1 ? Math.round(fraction * 100) : Number((fraction * 100).toFixed(1));
  if (Object.is(shown, -0) || shown === 0) return "0 %";
  return `${shown > 0 ? "+" : "−"}${count0(Math.abs(shown))} %`;
}

/** A change in percentage points: 0.019 -> "+1.9 pp". */
export function points(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return UNKNOWN;
  const value = fraction * 100;
  if (Math.abs(value) < 0.005) return "0 pp";
  return `${value > 0 ? "+" : "−"}${digits(Math.abs(value), 2)} pp`;
}

/** A statistic of any size: 13.2, or 9.6·10³⁵ where plain digits would not be read. */
export function statistic(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return minus(digits(value));
  const [factor, power] = value.toExponential(1).split("e");
  return `${minus(factor ?? "")}·10${[...String(Number(power))].map((digit) => RAISED[digit] ?? digit).join("")}`;
}
const RAISED: Record<string, string> = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** Bytes in binary units: 1536 -> "1.5 KiB". */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return `${digits(size)} ${units[unit]}`;
}

/** Per second. */
export function rate(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : `${short(value)}/s`;
}

/** Shortens an identifier for a table: the first eight digits. */
export function shortId(id: string): string {
  return id.length > 12 ? `${id.slice(0, 8)}…` : id;
}

function minus(text: string): string {
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
}

function count0(value: number): string {
  return Number.isInteger(value) ? count(value) : String(value);
}
