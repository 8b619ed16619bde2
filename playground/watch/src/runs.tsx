// The runs that are there: one is looked at, others can be laid over it.

import type { Line } from "./run";
import { colourOf } from "./ink";
import { clean, compact, figure } from "./words";

interface Props {
  lines: Line[];
  focus: string;
  beside: string[];
  onFocus: (id: string) => void;
  onBeside: (id: string) => void;
}

const STATES: Record<string, string> = { running: "runs", finished: "done", interrupted: "paused", stopped: "stopped", unreadable: "unreadable" };

export function Runs({ lines, focus, beside, onFocus, onBeside }: Props) {
  return (
    <nav class="runs" aria-label="Runs">
      <ul>
        {lines.map((line) => {
          const [own, place] = [line.id === focus, beside.indexOf(line.id)];
          const name = clean(line.name);
          const done = line.steps ? Math.min(1, line.step / line.steps) : 0;
          return (
            <li key={line.id} class={own ? "own" : ""}>
              <input
                type="checkbox"
                checked={own || place >= 0}
                disabled={own}
                aria-label={`Lay ${name} over the run that is looked at`}
                title={own ? "This run is looked at" : "Lay it over"}
                onChange={() => onBeside(line.id)}
              />
              <button type="button" aria-current={own ? "true" : undefined} onClick={() => onFocus(line.id)}>
                <span class="name">
                  {(own || place >= 0) && <i class={`dot fill-${own ? "train" : colourOf(place)}`} />}
                  {name}
                </span>
                <span class="bits">{figure(line.bits)}</span>
                <span class="about">
                  <b class={`state ${line.status}`}>{STATES[line.status] ?? clean(line.status)}</b>
                  {line.parameters ? ` · ${compact(line.parameters)}` : ""}
                  {line.status === "running" && line.steps ? ` · ${Math.floor(100 * done)} %` : ""}
                </span>
                {line.status === "running" && <progress value={done} max={1} aria-label={`${name}: share of its steps`} />}
              </button>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
