// A ratio and its interval on an axis around "no change", with the material change marked.
import { change } from "../core/format";
import { logarithmic } from "./scale";

const [WIDTH, HEIGHT, PAD] = [260, 46, 14];

export function IntervalChart({ ratio, low, high, material }: { ratio: number; low: number; high: number; material: number }) {
  const reach = Math.max(1.1, material, high, ratio, 1 / Math.max(0.01, Math.min(low, ratio, 1))) * 1.08;
  const x = logarithmic(1 / reach, reach, PAD, WIDTH - PAD);
  const label = `change ${change(ratio - 1)}, interval ${change(low - 1)} to ${change(high - 1)}; ${change(material - 1)} and more is material`;
  const tone = low > material ? "var(--bad)" : high < material ? "var(--good)" : "var(--muted)";
  return (
    <svg class="interval" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <line x1={x(1)} x2={x(1)} y1={4} y2={30} stroke="var(--line-strong)" />
      <line x1={x(material)} x2={x(material)} y1={4} y2={30} stroke="var(--muted)" stroke-dasharray="3 2" />
      <line x1={x(low)} x2={x(high)} y1={16} y2={16} stroke={tone} stroke-width="3" />
      {[low, high].map((end) => <line key={end} x1={x(end)} x2={x(end)} y1={11} y2={21} stroke={tone} stroke-width="2" />)}
      <circle cx={x(ratio)} cy={16} r={4.5} fill={tone} />
      <text x={x(1)} y={43} text-anchor="end">same</text><text x={x(material) + 2} y={43}>{change(material - 1)}</text>
    </svg>
  );
}
