// Colours of the style sheet for a canvas, which knows none of its words: asked of an element, and kept until the scheme changes.

const kept = new Map<string, string>();
const listeners = new Set<() => void>();
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The colour of `--name`, as a canvas takes it. */
export function ink(name: string): string {
  let found = kept.get(name);
  if (!found) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    kept.set(name, (found = getComputedStyle(probe).color));
    probe.remove();
  }
  return found;
}

/** Calls when the colours have changed; gives back what ends that. */
export function onInk(call: () => void): () => void {
  listeners.add(call);
  return () => listeners.delete(call);
}

export function repaint(): void {
  kept.clear();
  listeners.forEach((call) => call());
}

dark.addEventListener("change", repaint);

// Colours of runs that are laid beside the one that is looked at, told apart in light and dark; then grey.
export const N_COLOURS = 7;
export const colourOf = (place: number): string => (place < N_COLOURS ? `run-${place}` : "quiet");
