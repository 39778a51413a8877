import type { VNode } from "preact";
import { useState } from "preact/hooks";

/** A line to run, and a button that copies it. */
export function Command({ text, label }: { readonly text: string; readonly label: string }): VNode {
  const [told, tell] = useState("Copy");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      tell("Copied");
    } catch {
      tell("Select and copy it by hand");
    }
    window.setTimeout(() => tell("Copy"), 2_000);
  };
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="small" onClick={() => void copy()} aria-label={`${told}: ${label}`}>
        {told}
      </button>
    </div>
  );
}
