// Who explains the change: milliseconds per trace by service, split into own time, the way to it, and calls.
import { digits, percent } from "../core/format";
import { href } from "../core/router";
import type { Suspect } from "../core/types";

const PARTS: { key: "own_ms" | "edge_ms" | "calls_ms"; word: string; tone: string }[] = [
  { key: "own_ms", word: "own time", tone: "after" }, { key: "edge_ms", word: "on the way", tone: "edge" }, { key: "calls_ms", word: "calls below", tone: "before" },
];

export function Suspects({ suspects, service }: { suspects: Suspect[]; service: string }) {
  if (suspects.length === 0) return <p class="muted">No service stands out: nothing in these traces grew beyond chance.</p>;
  const most = Math.max(...suspects.map((one) => PARTS.reduce((sum, part) => sum + Math.max(0, one[part.key]), 0)), 1e-9);
  const signed = (value: number): string => `${value < 0 ? "−" : ""}${digits(Math.abs(value))} ms`;
  return (
    <>
      <div class="legend">{PARTS.map((part) => <span key={part.key}><span class={`dot ${part.tone}`} />{part.word}</span>)}</div>
      <div class="tablewrap">
        <table class="grid" aria-label="Who explains the change">
          <thead><tr><th scope="col">Service</th><th scope="col">Milliseconds more per trace</th><th scope="col" class="num">Explains</th><th scope="col" class="num">Share</th></tr></thead>
          <tbody>{suspects.map((one) => {
            const text = PARTS.map((part) => `${part.word} ${signed(one[part.key])}`).join(", ");
            return (
              <tr key={one.service}>
                <td class="clip"><a href={href("/deployments", { service: one.service })} title={`deployments of ${one.service}`}>{one.service}</a>{one.service === service ? <> <span class="muted">judged here</span></> : null}</td>
                <td><span class="stack" role="img" aria-label={text} title={text}>{PARTS.map((part) => <span key={part.key} class={part.tone} style={{ width: `${(Math.max(0, one[part.key]) / most) * 100}%` }} />)}</span></td>
                <td class="num" title={`${one.score_ms} ms`}>{signed(one.score_ms)}</td><td class="num">{percent(one.share)}</td>
              </tr>
            );
          })}</tbody>
        </table>
      </div>
    </>
  );
}
