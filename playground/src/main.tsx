// The playground: one prompt for one model or for two side by side, in a conversation or as the beginning of a text.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Model, models, Refused, stream } from "./api";
import { Composer, Key, messageOf } from "./asking";
import { Column } from "./column";
import { differing } from "./differ";
import { type Run, runs } from "./lens";
import "./page.css";
import { branched, type Column as State, FIRST_SETTINGS, messagesOf, type Mode, type Turn } from "./state";
import { clean, joined } from "./text";

const NAMES = ["Left", "Right"];
// A slider that is dragged over ten steps should have one of them write, not ten.
const REST_MS = 350;

type Change = Partial<State> | ((column: State) => Partial<State>);

/** A column for a model, or for one of a run's checkpoints. */
function empty(id: string, known: Model[], seed: number): State {
  // A small model's context should not be filled by the room for one answer.
  const most = known.find((one) => one.id === id)?.most ?? Infinity;
  const maxTokens = Math.max(1, Math.min(FIRST_SETTINGS.maxTokens, Math.floor(most / 4)));
  return { model: id, settings: { ...FIRST_SETTINGS, seed, maxTokens }, turns: [], kept: {}, busy: false, error: "" };
}

/** What a model is called where it is one of a run's checkpoints: a slider then stands there. */
function atStep(id: string, found: Run[]): string {
  const run = found.find((one) => one.model === id);
  return run?.checkpoints.find((one) => one.step === run.step)?.id ?? id;
}

/** What to put beside a column: another model, else another checkpoint of the same run, else the same once more. */
function beside(left: State, known: Model[], found: Run[]): State {
  const run = found.find((one) => one.model === left.model || one.checkpoints.some(({ id }) => id === left.model));
  const own = run?.model ?? left.model;
  const other = known.find((one) => one.parent === null && one.id !== own)?.id;
  const id = other ? atStep(other, found) : (run?.checkpoints.find((one) => one.id !== left.model)?.id ?? left.model);
  // Two models are compared with the same dice, one model with others.
  return empty(id, known, id === left.model ? left.settings.seed + 1 : left.settings.seed);
}

function Page() {
  const [known, setKnown] = useState<Model[]>([]);
  const [found, setFound] = useState<Run[]>([]);
  const [locked, setLocked] = useState(false);
  const [told, setTold] = useState("");
  const [mode, setMode] = useState<Mode>("chat");
  const [columns, setColumns] = useState<State[]>([empty("", [], 0)]);
  const stops = useRef<(AbortController | null)[]>([]);
  const timers = useRef<number[]>([]);
  const halted = useRef(false);
  const busy = columns.some((one) => one.busy);

  const look = async () => {
    try {
      const [listed, ofRuns] = [await models(), await runs()];
      setKnown(listed);
      setFound(ofRuns);
      setLocked(false);
      setTold("");
      const first = empty(atStep(listed[0]?.id ?? "", ofRuns), listed, 0);
      setColumns(([left, right]) => {
        const one = left?.model ? left : first;
        return right ? [one, right.model ? right : beside(one, listed, ofRuns)] : [one];
      });
      if (listed[0]?.chat === false) setMode("completion");
    } catch (fault) {
      if (fault instanceof Refused && fault.status === 401) setLocked(true);
      else setTold(messageOf(fault));
    }
  };
  useEffect(() => void look(), []);
  useEffect(() => {
    // Who reads the end goes on reading it; who has scrolled up is left alone.
    const page = document.documentElement;
    if (busy && page.scrollHeight - page.scrollTop - page.clientHeight < 160) page.scrollTop = page.scrollHeight;
  }, [columns]);

  const change = (number: number, how: Change) =>
    setColumns((all) => all.map((one, n) => (n === number ? { ...one, ...(typeof how === "function" ? how(one) : how) } : one)));

  /** Writes the last of the turns; whether it came to its end. What follows on another step of the slider is not ours. */
  const write = async (number: number, column: State, turns: Turn[]): Promise<boolean> => {
    let last = turns.at(-1);
    if (!last) return false;
    const [{ model, settings }, stop, before] = [column, new AbortController(), turns.slice(0, -1)];
    stops.current[number] = stop;
    const show = (more: Change = {}) => {
      const shown = last ? [...before, last] : before;
      if (stops.current[number] === stop)
        change(number, (one) => ({ turns: shown, ...(typeof more === "function" ? more(one) : more) }));
    };
    show({ model, busy: true, error: "" });
    const text = mode === "chat" ? { messages: messagesOf({ ...column, turns }) } : { prompt: last.asked + joined(last.tokens) };
    try {
      const finish = await stream({ model, settings, ...text }, stop.signal, (tokens) => {
        if (last) last = { ...last, tokens: [...last.tokens, ...tokens] };
        show();
      });
      const whole = (last = { ...last, finish });
      show((one) => ({ busy: false, kept: { ...one.kept, [model]: whole } }));
      return true;
    } catch (fault) {
      if (stop.signal.aborted) {
        last = { ...last, finish: "stopped" };
        show({ busy: false });
      } else {
        // What was refused was not said: two messages of a person never follow each other.
        const kept = last.tokens.length ? [...before, last] : before;
        show({ busy: false, error: messageOf(fault), turns: kept });
      }
      return false;
    }
  };

  const send = (text: string) => {
    columns.forEach((column, number) => {
      const before = mode === "chat" ? column.turns : [];
      change(number, { kept: {} });
      void write(number, { ...column, kept: {} }, [...before, { asked: text, tokens: [], finish: "" }]);
    });
  };

  /** The checkpoint of that name has the word: its answer is there, or it writes one when the slider has come to rest. */
  const slide = (number: number, column: State, id: string) => {
    clearTimeout(timers.current[number]);
    const writing = stops.current[number];
    stops.current[number] = null;
    writing?.abort();
    const last = column.turns.at(-1);
    const before = column.turns.slice(0, -1);
    const kept = column.kept[id];
    if (!last || kept) {
      change(number, { model: id, busy: false, error: "", turns: kept ? [...before, kept] : before });
      return;
    }
    const turns = [...before, { asked: last.asked, tokens: [], finish: "" }];
    change(number, { model: id, busy: true, error: "", turns });
    timers.current[number] = window.setTimeout(() => void write(number, { ...column, model: id }, turns), REST_MS);
  };

  /** Each checkpoint in its order writes the last prompt, until one fails or somebody stops it. */
  const every = async (number: number, column: State, run: Run) => {
    const [last, before] = [column.turns.at(-1), column.turns.slice(0, -1)];
    halted.current = false;
    for (const { id } of run.checkpoints) {
      if (halted.current || !last) return;
      const turns = [...before, { asked: last.asked, tokens: [], finish: "" }];
      if (!column.kept[id] && !(await write(number, { ...column, model: id }, turns))) return;
    }
  };

  const halt = () => {
    halted.current = true;
    timers.current.forEach((one) => clearTimeout(one));
    stops.current.forEach((one) => one?.abort());
    setColumns((all) => all.map((one, n) => (stops.current[n] ? one : { ...one, busy: false })));
  };
  const clear = () => setColumns((all) => all.map((one) => ({ ...one, turns: [], kept: {}, error: "" })));
  const texts = columns.map((one) => one.turns.at(-1)?.tokens ?? []);
  const compared = !busy && texts.length === 2 && texts.every((one) => one.length) ? differing(texts[0] ?? [], texts[1] ?? []) : null;

  return (
    <>
      <header>
        <h1>Playground</h1>
        <div class="switch" role="group" aria-label="Kind of text">
          {(["chat", "completion"] as const).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={mode === one}
              disabled={busy}
              onClick={() => {
                setMode(one);
                clear();
              }}
            >
              {one === "chat" ? "Chat" : "Completion"}
            </button>
          ))}
        </div>
        <button
          type="button"
          aria-pressed={columns.length === 2}
          disabled={busy}
          onClick={() => setColumns(([left, right]) => (left && !right ? [left, beside(left, known, found)] : left ? [left] : []))}
        >
          Side by side
        </button>
        <button type="button" disabled={busy} onClick={clear}>
          New
        </button>
      </header>
      {locked && <Key onKey={look} />}
      {told && (
        <p class="error" role="alert">
          {clean(told)}
        </p>
      )}
      {compared && <Compared marks={compared} />}
      <main class={columns.length === 2 ? "two" : "one"}>
        {columns.map((column, number) => (
          <Column
            key={number}
            column={column}
            mode={mode}
            name={columns.length === 2 ? (NAMES[number] ?? "") : "Model"}
            models={known}
            runs={found}
            marks={compared?.[number] ?? []}
            onChange={(more) => change(number, more.settings ? { ...more, kept: {} } : more)}
            onModel={(id) => change(number, { model: atStep(id, found) })}
            onSlide={(id) => slide(number, column, id)}
            onEvery={(run) => void every(number, column, run)}
            onBranch={(turn, place, text) => void write(number, column, branched(column.turns, turn, place, text))}
          />
        ))}
      </main>
      <Composer mode={mode} busy={busy} onSend={send} onStop={halt} />
    </>
  );
}

function Compared({ marks }: { marks: [boolean[], boolean[]] }) {
  const differ = marks.some((side) => side.some(Boolean));
  return (
    <p class="quiet compared" role="status">
      {differ ? (
        <>
          <span class="differs">Underlined</span> is what the other answer does not have.
        </>
      ) : (
        "The two answers are the same."
      )}
    </p>
  );
}

const place = document.getElementById("page");
if (place) render(<Page />, place);
