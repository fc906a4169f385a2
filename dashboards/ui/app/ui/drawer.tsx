// A drawer from the right over a page. It is modal: the keyboard stays inside, Escape closes it, and the focus returns to what opened it.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: ComponentChildren;
  /** Id of what takes the focus afterwards when nothing on the page had it before, as after a deep link. */
  opener: string;
  close: () => void;
  children: ComponentChildren;
}

export function Drawer({ title, opener, close, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const gone = useRef(false);
  useEffect(() => {
    const before = document.activeElement instanceof HTMLElement && document.activeElement !== document.body ? document.activeElement : null;
    dialog.current?.showModal();
    return () => {
      gone.current = true;
      dialog.current?.close();
      (before?.isConnected ? before : document.getElementById(opener))?.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="drawertitle" onClose={() => { if (!gone.current) close(); }}
      onClick={(event) => { if (event.target === dialog.current) close(); }}>
      <header><h2 id="drawertitle">{title}</h2><button type="button" onClick={close}>Close <kbd>Esc</kbd></button></header>
      <div class="drawerbody" tabIndex={0} role="region" aria-labelledby="drawertitle">{children}</div>
    </dialog>
  );
}
