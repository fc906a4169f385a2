// The `?` dialog: every key that works right now, newest scope first.
import { useEffect, useRef } from "preact/hooks";
import { scopes } from "../core/keys";

export function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => { dialog.current?.showModal(); }, []);
  const seen = new Set<string>();
  return (
    <dialog ref={dialog} class="help" onClose={close} aria-labelledby="helptitle"
      onClick={(event) => { if (event.target === dialog.current) dialog.current?.close(); }}>
      <h2 id="helptitle">Keys on this page</h2>
      <div class="scopes">
        {[...scopes.value].reverse().map((scope) => {
          // A key that a newer scope took over is not listed again.
          const rows = scope.bindings().filter((one) => !seen.has(one.keys));
          rows.forEach((one) => seen.add(one.keys));
          return rows.length === 0 ? null : (
            <section key={scope.title}>
              <h3>{scope.title}</h3>
              <dl>{rows.map((one) => [
                <dt key={`${one.keys}t`}>{one.keys.split(" / ").map((keys) => <kbd key={keys}>{keyName(keys)}</kbd>)}</dt>,
                <dd key={`${one.keys}d`}>{one.does}</dd>,
              ])}</dl>
            </section>
          );
        })}
      </div>
      <form method="dialog"><button type="submit" class="primary">Close  Esc</button></form>
    </dialog>
  );
}

function keyName(keys: string): string {
  return keys.replace("ArrowDown", "↓").replace("ArrowUp", "↑").replace("ArrowLeft", "←").replace("ArrowRight", "→").replace("Escape", "Esc");
}
