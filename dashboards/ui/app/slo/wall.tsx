// The board as large tiles, for a screen on a wall; `?kiosk=1` leaves the frame of the page away.
import { nines, percent, span, target } from "../core/format";
import { href } from "../core/router";
import type { Slo } from "../core/types";
import { pathOf } from "../core/url";
import { BurnChip } from "../ui/chip";
import { sloLook } from "../ui/states";
import { BudgetBar } from "./budget";
import { burnOf } from "./words";

export function Wall({ slos }: { slos: Slo[] }) {
  return (
    <ul class="wall" aria-label="Service level objectives">
      {slos.map((slo) => {
        const look = sloLook(slo.state);
        return (
          <li key={slo.id} class={`card ${look.tone}`}>
            <a data-row href={href(pathOf("slo", slo.id))}><strong>{slo.service}</strong><span class="muted" title={slo.objective}>{slo.objective.replace("<=", "≤")}</span></a>
            <span class="big" title={String(slo.budget_left)}>{percent(slo.budget_left)}</span>
            <BudgetBar left={slo.budget_left} reason={slo.state_reason} />
            <span class={look.tone === "none" ? "muted" : look.tone}><span aria-hidden="true">{look.glyph}</span> {look.word}{slo.exhausted_in_s !== null && (slo.budget_left ?? 0) > 0 ? `, out in ${span(slo.exhausted_in_s)}` : ""}</span>
            <span class="muted">{nines(slo.sli)} of {target(slo.target)}</span>
            <span class="muted">1 h <BurnChip rate={burnOf(slo, "1h")} /></span>
          </li>
        );
      })}
    </ul>
  );
}
