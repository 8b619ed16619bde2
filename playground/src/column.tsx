// One column: a model, how it is to write, and what it wrote.

import type { Model, Settings } from "./api";
import type { Column as State, Mode } from "./state";
import { clean, joined } from "./text";
import { Tokens } from "./tokens";

interface Props {
  column: State;
  mode: Mode;
  name: string;
  models: Model[];
  onChange: (change: Partial<State>) => void;
  onBranch: (turn: number, place: number, text: string) => void;
}

const ENDS: Record<string, string> = { length: "cut at the most tokens", stopped: "stopped", content_filter: "filtered" };

export function Column({ column, mode, name, models, onChange, onBranch }: Props) {
  return (
    <section class="column" aria-label={name}>
      <Controls column={column} mode={mode} name={name} models={models} onChange={onChange} />
      <div class="turns">
        {column.turns.map((turn, number) => (
          <article key={number} class="turn">
            <p class="asked">
              <span class="hidden">{mode === "chat" ? "You: " : "Prompt: "}</span>
              {clean(turn.asked)}
            </p>
            <Tokens
              tokens={turn.tokens}
              label={`${name}, text ${number + 1}`}
              ready={!column.busy}
              onChoose={(place, text) => onBranch(number, place, text)}
            />
            {ENDS[turn.finish] && <p class="quiet">({ENDS[turn.finish]})</p>}
          </article>
        ))}
      </div>
      {/* The whole text, once it is there: token by token a screen reader could not be followed. */}
      <p class="hidden" aria-live="polite">
        {column.busy ? "" : clean(joined(column.turns.at(-1)?.tokens ?? []))}
      </p>
      {column.error && (
        <p class="error" role="alert">
          {clean(column.error)}
        </p>
      )}
    </section>
  );
}

function Controls({ column, mode, name, models, onChange }: Omit<Props, "onBranch">) {
  const { settings } = column;
  const set = (change: Partial<Settings>) => onChange({ settings: { ...settings, ...change } });
  return (
    <details class="controls">
      <summary>
        <b>{clean(column.model || "no model")}</b>{" "}
        <span class="quiet">
          temperature {settings.temperature}, seed {settings.seed}
        </span>
      </summary>
      <div class="fields">
        <label>
          Model
          <select value={column.model} onChange={(event) => onChange({ model: event.currentTarget.value })}>
            {models.map(({ id }) => (
              <option key={id} value={id}>
                {clean(id)}
              </option>
            ))}
          </select>
        </label>
        <Figure label="Temperature" value={settings.temperature} min={0} max={2} step={0.05} onValue={(temperature) => set({ temperature })} />
        <Figure label="Top-p" value={settings.topP} min={0.05} max={1} step={0.05} onValue={(topP) => set({ topP })} />
        <Figure label="Most tokens" value={settings.maxTokens} min={1} max={100000} step={1} onValue={(maxTokens) => set({ maxTokens })} />
        <Figure label="Seed" value={settings.seed} min={0} max={2 ** 31} step={1} onValue={(seed) => set({ seed })} />
        {mode === "chat" && (
          <label class="wide">
            System prompt
            <textarea
              rows={2}
              value={settings.system}
              aria-label={`System prompt of ${name}`}
              onInput={(event) => set({ system: event.currentTarget.value })}
            />
          </label>
        )}
      </div>
    </details>
  );
}

interface FigureProps {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  onValue: (value: number) => void;
}

/** A number in its range; while something else is typed, the last good one holds. */
function Figure({ label, value, min, max, step, onValue }: FigureProps) {
  return (
    <label>
      {label}
      <input
        type="number"
        value={value}
        min={min}
        max={max}
        step={step}
        onChange={(event) => {
          const typed = event.currentTarget.valueAsNumber;
          if (Number.isFinite(typed) && typed >= min && typed <= max) onValue(step === 1 ? Math.round(typed) : typed);
          else event.currentTarget.value = String(value);
        }}
      />
    </label>
  );
}
