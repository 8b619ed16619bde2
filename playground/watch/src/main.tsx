// The live page over run folders. It asks for what is new every second, draws, and writes nothing.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import { Apart } from "./apart";
import { Curves, isEarlier } from "./curves";
import { repaint } from "./ink";
import "./page.css";
import { Pictures } from "./pictures";
import { Rest } from "./rest";
import { type Line, type Run, told, unknown } from "./run";
import { Runs } from "./runs";
import { Samples } from "./samples";
import { Fault, saved, server, setKey, type Source } from "./source";
import { Top } from "./top";
import { clean } from "./words";

const EVERY_MS = 1000;
const HIDDEN_MS = 5000;
const FAILED_MS = [1000, 2000, 3000];
// The band of earlier runs is of so many at the most.
const MOST_EARLIER = 12;
const source: Source = saved() ?? server;

/** What the address says that is looked at: it survives a reload, and can be sent. */
const inAddress = (): string[] => new URLSearchParams(location.hash.slice(1)).getAll("run");

function Page() {
  const [lines, setLines] = useState<Line[] | null>(null);
  const [chosen, setChosen] = useState<string[]>(inAddress);
  const [told_, setTold] = useState("");
  const [locked, setLocked] = useState(false);
  const runs = useRef(new Map<string, Run>());
  const wanted = useRef<string[]>(chosen);
  const moved = useRef({ step: -1, at: Date.now() });
  const [, redraw] = useState(0);

  const there = lines ?? [];
  const here = chosen.filter((id) => there.some((line) => line.id === id));
  const shown = here.length ? here : there.slice(0, 1).map(({ id }) => id);
  const focus = shown[0] ?? "";
  // Before it is known which runs there are, those that the address names.
  if (lines) wanted.current = shown;

  useEffect(() => {
    let [timer, failures, ended] = [0, 0, false];
    const look = async () => {
      clearTimeout(timer);
      let wait = document.hidden ? HIDDEN_MS : EVERY_MS;
      try {
        const { runs: listed } = await source.listed();
        setLines(listed);
        const there = wanted.current.filter((id) => listed.some((line) => line.id === id));
        const ids = there.length ? there : listed.slice(0, 1).map(({ id }) => id);
        const others = earlierThan(listed, ids).slice(0, MOST_EARLIER);
        const ask = (id: string, whole: boolean): [string, string] => {
          const known = runs.current.get(id);
          return [id, known && known.whole === whole ? known.cursor : ""];
        };
        const news = await source.news({
          whole: ids.slice(0, 1).map((id) => ask(id, true)),
          beside: [...ids.slice(1), ...others].map((id) => ask(id, false)),
        });
        if (news.more) wait = 0;
        for (const [id, what] of Object.entries(news.runs)) {
          if (!what) runs.current.delete(id);
          else {
            runs.current.set(id, told(runs.current.get(id) ?? unknown(), what, id === ids[0]));
            if ("more" in what && what.more) wait = 0;
          }
        }
        for (const id of runs.current.keys()) if (!listed.some((line) => line.id === id)) runs.current.delete(id);
        const step = runs.current.get(ids[0] ?? "")?.last?.step ?? -1;
        if (step !== moved.current.step) moved.current = { step, at: Date.now() };
        failures = 0;
        setTold("");
        setLocked(false);
        redraw((n) => n + 1);
      } catch (fault) {
        setLocked(fault instanceof Fault && fault.status === 401);
        setTold(fault instanceof Error ? fault.message : String(fault));
        wait = FAILED_MS[Math.min(failures++, FAILED_MS.length - 1)] ?? EVERY_MS;
      }
      if (!ended && source.live) timer = window.setTimeout(look, wait);
    };
    void look();
    const seen = () => !document.hidden && void look();
    document.addEventListener("visibilitychange", seen);
    again.current = () => void look();
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);
  const again = useRef(() => {});

  const choose = (ids: string[]) => {
    setChosen(ids);
    wanted.current = ids;
    history.replaceState(null, "", `#${new URLSearchParams(ids.map((id) => ["run", id.toWellFormed()]))}`);
    again.current();
  };
  const run = runs.current.get(focus);
  const nameOf = (id: string) => clean(there.find((line) => line.id === id)?.name ?? id);
  const known = shown.slice(1).flatMap((id) => {
    const found = runs.current.get(id);
    return found ? [{ id, name: nameOf(id), run: found }] : [];
  });
  const line = there.find(({ id }) => id === focus);
  const earlier = earlierThan(there, shown).flatMap((id) => {
    const found = runs.current.get(id);
    return found && run && isEarlier(run.head, found.head) ? [found] : [];
  });
  useEffect(() => {
    const done = line?.status === "running" && line.steps ? `${Math.floor((100 * line.step) / line.steps)} % · ` : "";
    document.title = line ? `${done}${nameOf(focus)}` : "Runs";
  }, [line]);
  const silent = (Date.now() - moved.current.at) / 1000;

  return (
    <>
      <header>
        <h1>Runs</h1>
        <span class={`live ${told_ ? "lost" : source.live ? "on" : ""}`} role="status">
          {told_ ? "not reached" : source.live ? (lines ? "live" : "reading …") : "saved"}
        </span>
        <Theme />
      </header>
      {locked && <Key onKey={() => again.current()} />}
      {told_ && !locked && (
        <p class="error" role="alert">
          {clean(told_)}
        </p>
      )}
      {lines?.length === 0 && (
        <p class="lead">
          There is no run yet. <code>chainrule quickstart</code> makes the first in five minutes; this page shows it as soon as it begins.
        </p>
      )}
      {there.length > 0 && (
        <div class={there.length > 1 ? "with-runs" : ""}>
          {there.length > 1 && (
            <Runs
              lines={there}
              focus={focus}
              beside={shown.slice(1)}
              onFocus={(id) => choose([id, ...shown.filter((one, n) => n > 0 && one !== id)])}
              onBeside={(id) => choose(shown.includes(id) ? shown.filter((one) => one !== id) : [...shown, id])}
            />
          )}
          <main>
            {run?.fault && (
              <p class="error" role="alert">
                {nameOf(focus)} cannot be read: {clean(run.fault)}
              </p>
            )}
            {run ? (
              <>
                <Top line={line} run={run} silent={silent} />
                <Samples key={`samples ${focus}`} samples={run.samples} completions={run.head?.completions ?? []} />
                <Curves
                  key={focus}
                  source={source}
                  focus={{ id: focus, name: nameOf(focus), run }}
                  beside={known}
                  earlier={earlier}
                  baselines={baselinesOf(run, there)}
                />
                <Apart source={source} ids={shown} names={shown.map(nameOf)} />
                {run.head && <Pictures pictures={run.head.pictures} verdicts={run.head.verdicts} />}
                {run.head && <Rest head={run.head} />}
              </>
            ) : (
              <p class="quiet">Reading …</p>
            )}
          </main>
        </div>
      )}
    </>
  );
}

/** Runs on the same text that ended before the one that is looked at began, the newest first. */
function earlierThan(lines: Line[], shown: string[]): string[] {
  const own = lines.find(({ id }) => id === shown[0]);
  return lines
    .filter((one) => own?.text && one.text === own.text && one.begun < own.begun && one.status === "finished" && !shown.includes(one.id))
    .map(({ id }) => id)
    .slice(0, MOST_EARLIER);
}

/** The run's own, or those of another run on the same text: they are measured at the end only. */
function baselinesOf({ head }: Run, lines: Line[]): Record<string, number> {
  if (!head || Object.keys(head.baselines).length) return head?.baselines ?? {};
  return lines.find((one) => head.text && one.text === head.text && Object.keys(one.baselines).length)?.baselines ?? {};
}

function Theme() {
  const turn = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    repaint();
  };
  return (
    <button type="button" class="theme" title="Light or dark" aria-label="Light or dark" onClick={turn}>
      ◐
    </button>
  );
}

function Key({ onKey }: { onKey: () => void }) {
  const [value, setValue] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    setKey(value);
    onKey();
  };
  return (
    <form class="key" onSubmit={submit}>
      <label>
        This server asks for its token
        <input type="password" autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      </label>
      <button type="submit">Open</button>
    </form>
  );
}

const place = document.getElementById("page");
if (place) render(<Page />, place);
