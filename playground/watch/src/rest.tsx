// Checkpoints and what can be done with them, the machine, what happened.

import { useState } from "preact/hooks";
import type { Head } from "./run";
import { bytes, clean, count, figure } from "./words";

export function Rest({ head }: { head: Head }) {
  const { checkpoints, commands, machine, events } = head;
  return (
    <>
      {checkpoints.length > 0 && (
        <section aria-labelledby="checkpoints-title">
          <h2 id="checkpoints-title">Checkpoints</h2>
          <div class="scroll">
            <table class="grid">
              <thead>
                <tr>
                  <th scope="col">step</th>
                  <th scope="col">bits per byte</th>
                  <th scope="col">loss</th>
                  <th scope="col">size</th>
                  <th scope="col">let it write</th>
                </tr>
              </thead>
              <tbody>
                {checkpoints.toReversed().map((one) => (
                  <tr key={one.step}>
                    <th scope="row">
                      {count(one.step)} {one.best && <b class="good">best</b>}
                    </th>
                    <td>{figure(one.bits)}</td>
                    <td>{figure(one.loss)}</td>
                    <td>{bytes(one.bytes)}</td>
                    <td>
                      <Copy command={one.write} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <ul class="commands">
            {commands.map(({ words, command }) => (
              <li key={command}>
                <span>{words}</span> <Command command={command} />
              </li>
            ))}
          </ul>
        </section>
      )}
      {machine.length > 0 && (
        <section aria-labelledby="machine-title">
          <h2 id="machine-title">The machine</h2>
          <dl class="facts">
            {machine.map(({ name, value }) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{clean(value)}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      {events.length > 0 && (
        <section aria-labelledby="events-title">
          <h2 id="events-title">What happened</h2>
          <details class="more">
            <summary>
              {count(events.length)} {events.length === 1 ? "event" : "events"}; the last: {clean(events.at(-1)?.said ?? "")}
            </summary>
            <ol class="events">
              {events.toReversed().map((one, n) => (
                <li key={n}>
                  <span class="quiet">
                    {clean(one.time)}
                    {one.step === null ? "" : ` · step ${count(one.step)}`}
                  </span>
                  <span>{clean(one.said)}</span>
                </li>
              ))}
            </ol>
          </details>
        </section>
      )}
    </>
  );
}

function Command({ command }: { command: string }) {
  return (
    <span class="command">
      <code>{clean(command)}</code>
      <Copy command={command} />
    </span>
  );
}

/** A button that copies a command; without a clipboard (a page over http from elsewhere) the command takes its place. */
function Copy({ command }: { command: string }) {
  const [said, setSaid] = useState("Copy");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      setSaid("Copied");
      setTimeout(() => setSaid("Copy"), 1500);
    } catch {
      setSaid(command);
    }
  };
  return (
    <button type="button" class="copy" title={command} aria-label={`Copy ${clean(command)}`} onClick={copy}>
      {clean(said)}
    </button>
  );
}
