// What the model wrote, round by round: the same prompts all through the run.

import { useMemo, useState } from "preact/hooks";
import type { Sample } from "./run";
import { clean, count } from "./words";

const MOST_CHARACTERS = 1600;

export function Samples({ samples, completions }: { samples: Sample[]; completions: { prompt: string; text: string }[] }) {
  // Null: the newest, as they come.
  const [chosen, setChosen] = useState<number | null>(null);
  const rounds = useMemo(() => roundsOf(samples), [samples]);
  if (!rounds.length && !completions.length) return null;
  const place = Math.min(chosen ?? rounds.length - 1, rounds.length - 1);
  const round = rounds[place];
  return (
    <section aria-labelledby="samples-title">
      <h2 id="samples-title">What it writes</h2>
      {rounds.length > 1 && (
        <div class="slider">
          <input
            type="range"
            min={0}
            max={rounds.length - 1}
            value={place}
            aria-label="Step of the samples"
            aria-valuetext={`step ${count(round?.[0]?.step)}`}
            onInput={(event) => setChosen(+event.currentTarget.value === rounds.length - 1 ? null : +event.currentTarget.value)}
          />
          <output>step {count(round?.[0]?.step)}</output>
        </div>
      )}
      <div class="round">
        {round?.map((one, n) => (
          <Written key={n} prompt={one.prompt ?? ""} text={one.text} />
        ))}
      </div>
      {completions.length > 0 && (
        <details class="more">
          <summary>Its texts at the end</summary>
          <div class="round">
            {completions.map((one, n) => (
              <Written key={n} {...one} />
            ))}
          </div>
        </details>
      )}
    </section>
  );
}

function Written({ prompt, text }: { prompt: string; text: string }) {
  const cut = clean(text).slice(0, MOST_CHARACTERS);
  return (
    <pre tabIndex={0} dir="auto">
      <b>{clean(prompt)}</b>
      {cut.trimEnd()}
      {text.length > MOST_CHARACTERS ? "…" : ""}
    </pre>
  );
}

function roundsOf(samples: Sample[]): Sample[][] {
  const rounds: Sample[][] = [];
  for (const one of samples) {
    const last = rounds.at(-1);
    if (last?.[0]?.step === one.step) last.push(one);
    else rounds.push([one]);
  }
  return rounds;
}
