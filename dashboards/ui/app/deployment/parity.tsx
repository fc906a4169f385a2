// What the processes of the two versions ran on, attribute by attribute: what differs is a possible reason besides the version.
import { count, percent } from "../core/format";
import type { Parity } from "../core/types";

const SPECIAL: Record<string, string> = { "~absent": "not sent", "~other": "other values" };
/** Values of a side that are named; the rest is counted. */
const VALUES_MAX = 3;

export function Environment({ parity, confounders }: { parity: Parity[]; confounders: string[] }) {
  if (parity.length === 0) return <p class="muted">{confounders.length > 0 ? confounders.join("; ") : "Nothing is known of the processes: their resource attributes were not seen."}</p>;
  const shown = parity.filter((one) => one.state !== "alike");
  const alike = parity.filter((one) => one.state === "alike");
  return (
    <>
      {shown.length === 0 ? <p><span class="chip good"><span aria-hidden="true">✓</span> alike</span> Nothing but the version differs.</p> : (
        <div class="tablewrap">
          <table class="grid" aria-label="What the two versions ran on">
            <thead><tr><th scope="col">Attribute</th><th scope="col">before</th><th scope="col">after</th><th scope="col">the two are</th></tr></thead>
            <tbody>{shown.map((one) => (
              <tr key={`${one.service}|${one.attribute}`}>
                <td><span class="muted">{one.service}</span> {one.attribute}</td><td class="values">{most(one, "before")}</td><td class="values">{most(one, "after")}</td>
                <td class="nowrap">{one.state === "differs"
                  ? <span class="chip warn" title={`${percent(one.distance)} of the processes would have to change`}><span aria-hidden="true">≠</span> different {percent(one.distance)}</span>
                  : <span class="chip none" title="too few processes to tell"><span aria-hidden="true">?</span> unknown</span>}</td>
              </tr>
            ))}</tbody>
          </table>
        </div>
      )}
      {alike.length > 0 ? <p class="muted">Alike: {alike.map((one) => `${one.service} ${one.attribute}`).join(", ")}.</p> : null}
    </>
  );
}

function most({ values }: Parity, side: "before" | "after"): string {
  const of = values.filter((one) => one[side] > 0).sort((a, b) => b[side] - a[side]);
  const named = of.slice(0, VALUES_MAX).map((one) => `${SPECIAL[one.value] ?? one.value} ${percent(one[side])}`).join(", ");
  return of.length > VALUES_MAX ? `${named} and ${count(of.length - VALUES_MAX)} more` : named || "none";
}
