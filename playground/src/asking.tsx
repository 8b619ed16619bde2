// Where a person writes: the prompt, and the server's token where it asks for one; and how a refusal is told.

import { useState } from "preact/hooks";
import { Refused, setKey } from "./api";
import type { Mode } from "./state";

interface ComposerProps {
  mode: Mode;
  busy: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}

export function Composer({ mode, busy, onSend, onStop }: ComposerProps) {
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

export function Key({ onKey }: { onKey: () => void }) {
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

export function messageOf(fault: unknown): string {
  if (fault instanceof Refused) return fault.message;
  return "the server does not answer; is it still running?";
}
