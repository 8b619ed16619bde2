// The settings in which the runs differ that are laid over each other.

import { useEffect, useState } from "preact/hooks";
import { colourOf } from "./ink";
import type { Differences } from "./run";
import type { Source } from "./source";
import { clean, setting } from "./words";

export function Apart({ source, ids, names }: { source: Source; ids: string[]; names: string[] }) {
  const [found, setFound] = useState<Differences | null>(null);
  const wanted = ids.join("\n");
  useEffect(() => {
    let here = true;
    source.differences(ids).then(
      (told) => here && setFound(told),
      () => here && setFound(null),
    );
    return () => void (here = false);
  }, [wanted]);
  if (ids.length < 2 || !found) return null;
  return (
    <section aria-labelledby="apart-title">
      <h2 id="apart-title">What is set differently</h2>
      {found.settings.length === 0 && <p class="quiet">All settings are equal.</p>}
      {found.settings.length > 0 && (
        <div class="scroll">
          <table class="grid">
            <thead>
              <tr>
                <th scope="col">setting</th>
                {found.runs.map((id) => (
                  <th key={id} scope="col">
                    <i class={`dot fill-${id === ids[0] ? "train" : colourOf(ids.indexOf(id) - 1)}`} />
                    {clean(names[ids.indexOf(id)] ?? id)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.settings.map(({ key, values }) => (
                <tr key={key}>
                  <th scope="row">
                    <code>{key}</code>
                  </th>
                  {values.map((value, n) => (
                    <td key={n} class={n && JSON.stringify(value) !== JSON.stringify(values[0]) ? "other" : ""}>
                      <code>{clean(setting(value))}</code>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
