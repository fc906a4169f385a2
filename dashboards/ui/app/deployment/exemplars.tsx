// Traces that show the difference, in pairs: each trace of the new version beside a typical one of the old.
import { ms, shortId } from "../core/format";
import { now } from "../core/refresh";
import { href } from "../core/router";
import { moment } from "../core/time";
import type { Exemplar } from "../core/types";
import { pathOf } from "../core/url";
import { pairsOf, type Pair } from "./pairs";

export function Exemplars({ exemplars }: { exemplars: Exemplar[] }) {
  if (exemplars.length === 0) return <p class="muted">No example yet: they come with the first comparison.</p>;
  return (
    <div class="tablewrap">
      <table class="grid pairs" aria-label="Example traces">
        <thead>
          <tr><th scope="col" rowSpan={2}>Pair</th><th scope="colgroup" colSpan={3}><span class="dot before" />before, typical</th><th scope="colgroup" colSpan={3}><span class="dot after" />after</th><th scope="col" rowSpan={2} class="num">More</th></tr>
          <tr>{["before", "after"].map((side) => [<th key={`${side}1`} scope="col">Trace</th>, <th key={`${side}2`} scope="col" class="num">Whole</th>, <th key={`${side}3`} scope="col" class="num" title="time spent in the judged operation">Here</th>])}</tr>
        </thead>
        <tbody>{pairsOf(exemplars).map((pair) => (
          <tr key={`${pair.role}${pair.after?.trace_id ?? pair.before?.trace_id}`}>
            <th scope="row">{pair.role}</th><Side of={pair.before} /><Side of={pair.after} /><td class="num strong">{difference(pair)}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Side({ of }: { of: Exemplar | null }) {
  if (!of) return <><td class="muted">—</td><td class="num muted">—</td><td class="num muted">—</td></>;
  return (
    <>
      <td><a class="mono" href={href(pathOf("trace", of.trace_id))} title={`${of.trace_id}, ${moment(of.start_unix_nano, now.value)} UTC`}>{shortId(of.trace_id)}</a></td>
      <td class="num" title={`${of.duration_ms} ms`}>{ms(of.duration_ms)}</td>
      <td class="num" title={`${of.node_ms} ms`}>{ms(of.node_ms)}</td>
    </>
  );
}

/** How much longer the judged place took in the trace after. */
function difference({ before, after }: Pair): string {
  if (before?.node_ms === null || before?.node_ms === undefined || after?.node_ms === null || after?.node_ms === undefined) return "—";
  const more = after.node_ms - before.node_ms;
  return `${more < 0 ? "−" : "+"}${ms(Math.abs(more))}`;
}
