// The playground: one prompt for one model or for two side by side, in a conversation or as the beginning of a text.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Model, models, Refused, setKey, stream } from "./api";
import { Column } from "./column";
import "./page.css";
import { branched, type Column as State, FIRST_SETTINGS, messagesOf, type Mode, type Turn } from "./state";
import { clean, joined } from "./text";

const NAMES = ["Left", "Right"];

function empty(model: Model | undefined, seed: number): State {
  // A small model's context should not be filled by the room for one answer.
  const maxTokens = Math.max(1, Math.min(FIRST_SETTINGS.maxTokens, Math.floor((model?.most ?? Infinity) / 4)));
  return { model: model?.id ?? "", settings: { ...FIRST_SETTINGS, seed, maxTokens }, turns: [], busy: false, error: "" };
}

function Page() {
  const [known, setKnown] = useState<Model[]>([]);
  const [locked, setLocked] = useState(false);
  const [told, setTold] = useState("");
  const [mode, setMode] = useState<Mode>("chat");
  const [columns, setColumns] = useState<State[]>([empty(undefined, 0)]);
  const stops = useRef<(AbortController | null)[]>([]);
  const busy = columns.some((one) => one.busy);

  const look = async () => {
    try {
      const found = await models();
      setKnown(found);
      setLocked(false);
      setTold("");
      setColumns((all) => all.map((one, n) => (one.model ? one : empty(found[n] ?? found[0], n))));
      if (found[0]?.chat === false) setMode("completion");
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

  const change = (number: number, change: Partial<State>) =>
    setColumns((all) => all.map((one, n) => (n === number ? { ...one, ...change } : one)));

  const write = async (number: number, column: State, turns: Turn[]) => {
    const stop = new AbortController();
    stops.current[number] = stop;
    const started = { ...column, turns, busy: true, error: "" };
    let last = turns.at(-1);
    if (!last) return;
    const show = (more: Partial<State>) => last && change(number, { ...more, turns: [...turns.slice(0, -1), last] });
    show({ busy: true, error: "" });
    const text = { prompt: last.asked + joined(last.tokens) };
    const ask = { model: column.model, settings: column.settings, ...(mode === "chat" ? { messages: messagesOf(started) } : text) };
    try {
      const finish = await stream(ask, stop.signal, (tokens) => {
        if (last) last = { ...last, tokens: [...last.tokens, ...tokens] };
        show({});
      });
      last = { ...last, finish };
      show({ busy: false });
    } catch (fault) {
      if (stop.signal.aborted) {
        last = { ...last, finish: "stopped" };
        show({ busy: false });
      } else {
        // What was refused was not said: two messages of a person never follow each other.
        const kept = last.tokens.length ? [...turns.slice(0, -1), last] : turns.slice(0, -1);
        change(number, { busy: false, error: messageOf(fault), turns: kept });
      }
    }
  };

  const send = (text: string) => {
    columns.forEach((column, number) => {
      const before = mode === "chat" ? column.turns : [];
      void write(number, column, [...before, { asked: text, tokens: [], finish: "" }]);
    });
  };

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
                setColumns((all) => all.map((column) => ({ ...column, turns: [], error: "" })));
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
          onClick={() =>
            setColumns(([left, right]) =>
              left && !right ? [left, empty(known[1] ?? known[0], left.settings.seed + 1)] : left ? [left] : [],
            )
          }
        >
          Side by side
        </button>
        <button
          type="button"
          disabled={busy}
          onClick={() => setColumns((all) => all.map((one) => ({ ...one, turns: [], error: "" })))}
        >
          New
        </button>
      </header>
      {locked && <Key onKey={look} />}
      {told && (
        <p class="error" role="alert">
          {clean(told)}
        </p>
      )}
      <main class={columns.length === 2 ? "two" : "one"}>
        {columns.map((column, number) => (
          <Column
            key={number}
            column={column}
            mode={mode}
            name={columns.length === 2 ? (NAMES[number] ?? "") : "Model"}
            models={known}
            onChange={(more) => change(number, more)}
            onBranch={(turn, place, text) => void write(number, column, branched(column.turns, turn, place, text))}
          />
        ))}
      </main>
      <Composer mode={mode} busy={busy} onSend={send} onStop={() => stops.current.forEach((one) => one?.abort())} />
    </>
  );
}

interface ComposerProps {
  mode: Mode;
  busy: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}

function Composer({ mode, busy, onSend, onStop }: ComposerProps) {
  const [text, setText] = useState("");
  const label = mode === "chat" ? "Your message" : "The beginning of a text";
  const send = () => {
    if (busy || !text.trim()) return;
    onSend(text);
    if (mode === "chat") setText("");
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        rows={2}
        value={text}
        aria-label={label}
        placeholder={`${label} (Enter sends, Shift+Enter is a new line)`}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          // Not while a word is being composed (Japanese, Chinese): there Enter takes the word.
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      {busy ? (
        <button type="button" class="main" onClick={onStop}>
          Stop
        </button>
      ) : (
        <button type="submit" class="main" disabled={!text.trim()}>
          {mode === "chat" ? "Send" : "Write"}
        </button>
      )}
    </form>
  );
}

function Key({ onKey }: { onKey: () => void }) {
  const [value, setValue] = useState("");
  return (
    <form
      class="key"
      onSubmit={(event) => {
        event.preventDefault();
        setKey(value);
        onKey();
      }}
    >
      <label>
        This server asks for its token
        <input type="password" autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      </label>
      <button type="submit">Enter</button>
    </form>
  );
}

function messageOf(fault: unknown): string {
  if (fault instanceof Refused) return fault.message;
  return "the server does not answer; is it still running?";
}

const place = document.getElementById("page");
if (place) render(<Page />, place);
