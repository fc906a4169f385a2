// What is wrong with the files of objectives, and what in them has no effect.
import type { FileRemark, Slos } from "../core/types";

export function Remarks({ slos }: { slos: Slos }) {
  return (
    <>
      {slos.problems.length === 0 ? null : (
        <div class="failure problems" role="alert">
          <strong>{slos.problems.length === 1 ? "1 mistake" : `${slos.problems.length} mistakes`} in SLO files</strong>
          <span>The last good state of each file stays in force.</span>
          <List of={slos.problems} />
        </div>
      )}
      {slos.notes.length === 0 ? null : (
        <details class="notesbox">
          <summary>{slos.notes.length === 1 ? "1 entry" : `${slos.notes.length} entries`} of SLO files {slos.notes.length === 1 ? "has" : "have"} no effect</summary>
          <List of={slos.notes} />
        </details>
      )}
    </>
  );
}

function List({ of }: { of: FileRemark[] }) {
  return <ul class="lines">{of.map((one, at) => <li key={at}><code>{one.file}{one.line === null ? "" : `:${one.line}`}</code> {one.message}</li>)}</ul>;
}
