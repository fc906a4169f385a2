// Moving through the points of a chart by keys.

/** The point that `key` leads to from `at` among `size`; null ends the reading, undefined: not a key of charts. */
export function stepOf(key: string, at: number | null, size: number): number | null | undefined {
  if (size === 0) return undefined;
  switch (key) {
    case "ArrowRight": return at === null ? 0 : Math.min(size - 1, at + 1);
    case "ArrowLeft": return at === null ? size - 1 : Math.max(0, at - 1);
    case "Home": return 0;
    case "End": return size - 1;
    case "Escape": return at === null ? undefined : null;
    default: return undefined;
  }
}
