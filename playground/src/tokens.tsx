// A model's text, token by token: shaded by surprise; a token opens the list of what could have stood in its place.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Token } from "./api";
import { clean, named, percent, shade, shownTexts } from "./text";

interface Props {
  tokens: Token[];
  label: string;
  /** False while the model writes: nothing can be chosen then. */
  ready: boolean;
  /** Which tokens another text does not have. */
  marks: boolean[];
  onChoose: (place: number, text: string) => void;
  onWhy: (token: Token) => void;
}

export function Tokens({ tokens, label, ready, marks, onChoose, onWhy }: Props) {
  const texts = shownTexts(tokens);
  const [current, setCurrent] = useState(0);
  const [open, setOpen] = useState<number | null>(null);
  const group = useRef<HTMLDivElement>(null);

  const focus = (place: number) => {
    const wanted = Math.max(0, Math.min(tokens.length - 1, place));
    setCurrent(wanted);
    group.current?.querySelectorAll<HTMLElement>("[data-place]")[wanted]?.focus();
  };
  const close = (back: boolean) => {
    if (back && open !== null) focus(open);
    setOpen(null);
  };
  const onKey = (event: KeyboardEvent, place: number) => {
    const steps: Record<string, number> = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tokens.length };
    const target = steps[event.key];
    if (target !== undefined) focus(target);
    else if (event.key === "Enter" || event.key === " ") setOpen(place);
    else return;
    event.preventDefault();
  };

  return (
    <div class="tokens" ref={group} role="group" aria-label={`${label}: tokens; arrow keys move, Enter shows alternatives`}>
      {tokens.map((token, place) => (
        <span
          key={place}
          class={`token s${shade(token.logprob)} ${token.kind}${marks[place] ? " differs" : ""}`}
          data-place={place}
          role="button"
          tabIndex={place === Math.min(current, tokens.length - 1) ? 0 : -1}
          aria-haspopup="dialog"
          aria-expanded={open === place}
          aria-label={`${named(token.text)}${token.logprob === null ? "" : `, ${percent(token.logprob)}`}${marks[place] ? ", differs" : ""}`}
          title={token.logprob === null ? undefined : percent(token.logprob)}
          onClick={() => {
            setCurrent(place);
            setOpen(open === place ? null : place);
          }}
          onKeyDown={(event) => onKey(event, place)}
        >
          {token.kind === "control" ? "■" : clean(texts[place] ?? "")}
        </span>
      ))}
      {open !== null && tokens[open] && (
        <Alternatives
          token={tokens[open]}
          ready={ready}
          onClose={close}
          onWhy={onWhy}
          onChoose={(text) => {
            setOpen(null);
            onChoose(open, text);
          }}
        />
      )}
    </div>
  );
}

interface ListProps {
  token: Token;
  ready: boolean;
  onWhy: (token: Token) => void;
  onClose: (back: boolean) => void;
  onChoose: (text: string) => void;
}

function Alternatives({ token, ready, onWhy, onClose, onChoose }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.querySelector("button")?.focus();
    const outside = (event: Event) => {
      const target = event.target as HTMLElement;
      if (!box.current?.contains(target) && !target.closest(".token, dialog")) onClose(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [token]);

  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose(true);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = [...(box.current?.querySelectorAll("button") ?? [])];
      const place = all.indexOf(document.activeElement as HTMLButtonElement) + (event.key === "ArrowDown" ? 1 : -1);
      all[(place + all.length) % all.length]?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="alternatives" ref={box} role="dialog" aria-label={`Instead of ${named(token.text)}`} onKeyDown={onKey}>
      <p>
        <b>{named(token.text)}</b> {token.logprob === null ? "was given" : percent(token.logprob)}
      </p>
      {token.alternatives.length === 0 && <p class="quiet">No alternatives are known here.</p>}
      <ul>
        {token.alternatives.map((one) => (
          <li key={one.text}>
            <button type="button" disabled={!ready || one.kind !== "text"} onClick={() => onChoose(one.text)} title="Go on from this one">
              <span class="name">{named(one.text)}</span>
              <meter min={0} max={1} value={Math.exp(one.logprob)} aria-hidden="true" />
              <span class="share">{percent(one.logprob)}</span>
            </button>
          </li>
        ))}
      </ul>
      <div class="under">
        {token.source && (
          <button type="button" disabled={!ready} onClick={() => onWhy(token)} title="What its probability hangs on, by the lens">
            Why this token?
          </button>
        )}
        <button type="button" class="plain" onClick={() => onClose(true)}>
          Close
        </button>
      </div>
    </div>
  );
}
