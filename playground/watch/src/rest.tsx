// Checkpoints and what can be done with them, the machine, what happened.

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
                      <Command command={one.write} />
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

/** A command and a button that copies it; without a clipboard (http from elsewhere) it is selected. */
function Command({ command }: { command: string }) {
  const copy = async (event: MouseEvent) => {
    const button = event.currentTarget as HTMLButtonElement;
    const source = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    } catch {
      if (source) getSelection()?.selectAllChildren(source);
    }
  };
  return (
    <span class="command">
      <code>{clean(command)}</code>
      <button type="button" aria-label={`Copy ${command}`} onClick={copy}>
        Copy
      </button>
    </span>
  );
}
