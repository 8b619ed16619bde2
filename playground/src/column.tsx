// One column: a model, how it is to write, and what it wrote.

import { useState } from "preact/hooks";
import type { Model, Settings, Token } from "./api";
import { Checkpoints } from "./checkpoints";
import type { Run } from "./lens";
import type { Column as State, Mode } from "./state";
import { clean, joined } from "./text";
import { Tokens } from "./tokens";
import { Why } from "./why";

interface Props {
  column: State;
  mode: Mode;
  name: string;
  models: Model[];
  runs: Run[];
  /** Which tokens of the last text the other column's text does not have. */
  marks: boolean[];
  onChange: (change: Partial<State>) => void;
  onModel: (id: string) => void;
  onSlide: (id: string) => void;
  onEvery: (run: Run) => void;
  onBranch: (turn: number, place: number, text: string) => void;
}

const ENDS: Record<string, string> = { length: "cut at the most tokens", stopped: "stopped", content_filter: "filtered" };

export function Column({ column, mode, name, models, runs, marks, onChange, onModel, onSlide, onEvery, onBranch }: Props) {
  const [asked, setAsked] = useState<Token | null>(null);
  const parent = models.find((one) => one.id === column.model)?.parent ?? column.model;
  const run = runs.find((one) => one.model === parent && one.checkpoints.length > 1);
  return (
    <section class="column" aria-label={name}>
      <Controls column={column} parent={parent} mode={mode} name={name} models={models} onChange={onChange} onModel={onModel} />
      {run && (
        <Checkpoints
          run={run}
          chosen={column.model}
          written={Object.keys(column.kept)}
          prompted={column.turns.length > 0}
          busy={column.busy}
          name={name}
          onSlide={onSlide}
          onEvery={() => onEvery(run)}
        />
      )}
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
              marks={number === column.turns.length - 1 ? marks : []}
              onWhy={setAsked}
              onChoose={(place, text) => onBranch(number, place, text)}
            />
            {column.busy && !turn.tokens.length && <p class="quiet">reading …</p>}
            {ENDS[turn.finish] && <p class="quiet">({ENDS[turn.finish]})</p>}
          </article>
        ))}
      </div>
      {/* The whole text, once it is there: token by token a screen reader could not be followed. */}
      <p class="hidden" aria-live="polite">
        {column.busy ? "" : clean(joined(column.turns.at(-1)?.tokens ?? []))}
      </p>
      {asked && <Why token={asked} onClose={() => setAsked(null)} />}
      {column.error && (
        <p class="error" role="alert">
          {clean(column.error)}
        </p>
      )}
    </section>
  );
}

type ControlsProps = Pick<Props, "column" | "mode" | "name" | "models" | "onChange" | "onModel"> & { parent: string };

function Controls({ column, parent, mode, name, models, onChange, onModel }: ControlsProps) {
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
          <select value={parent} onChange={(event) => onModel(event.currentTarget.value)}>
            {models
              .filter((one) => one.parent === null)
              .map(({ id }) => (
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
