// Scales and ticks without a drawing surface, so that tests reach them.

export interface Scale { (value: number): number; invert: (pixel: number) => number }

export function linear(low: number, high: number, start: number, end: number): Scale {
  const size = high - low || 1;
  const scale = ((value: number) => start + ((value - low) / size) * (end - start)) as Scale;
  scale.invert = (pixel) => low + ((pixel - start) / (end - start || 1)) * size;
  return scale;
}

/** Logarithmic; values at or below zero sit at the low end. */
export function logarithmic(low: number, high: number, start: number, end: number): Scale {
  const bottom = Math.max(low, Number.MIN_VALUE);
  const inner = linear(Math.log(bottom), Math.log(Math.max(high, bottom * 1.0001)), start, end);
  const scale = ((value: number) => inner(Math.log(Math.max(value, bottom)))) as Scale;
  scale.invert = (pixel) => Math.exp(inner.invert(pixel));
  return scale;
}

/** Round values between low and high, at most `most` of them: steps of 1, 2 or 5. */
export function ticks(low: number, high: number, most: number): number[] {
  if (!(high > low) || most < 1) return [];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999999) ?? rough;
  const found: number[] = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9 && found.length <= most + 1; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** Powers of ten between low and high; 2 and 5 between them when there are few. */
export function logTicks(low: number, high: number, most: number): number[] {
  const all = (factors: number[]): number[] => {
    const found: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of factors) {
        const value = Number((factor * 10 ** power).toPrecision(6));
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    return found;
  };
  if (!(low > 0) || !(high > low)) return [];
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const found = all(factors);
    if (found.length <= most) return found;
  }
  const powers = all([1]);
  const stride = Math.ceil(powers.length / most);
  return powers.filter((_, at) => at % stride === 0);
}

/** SVG path of a line with gaps where a value is null. */
export function linePath(points: { x: number; y: number | null }[]): string {
  let path = "";
  let open = false;
  for (const point of points) {
    if (point.y === null || !Number.isFinite(point.y)) { open = false; continue; }
    path += `${open ? "L" : "M"}${point.x.toFixed(1)} ${point.y.toFixed(1)}`;
    open = true;
  }
  return path;
}
