// The lens on one token: what its probability hangs on, by depth of the model and by place of the text.

import { useEffect, useRef, useState } from "preact/hooks";
import { messageOf } from "./asking";
import type { Token } from "./api";
import { type Depth, look, type Look, page } from "./lens";
import { clean, named, percent, shownTexts } from "./text";

interface Props {
  token: Token;
  onClose: () => void;
}

export function Why({ token, onClose }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const stop = useRef(new AbortController());
  const [found, setFound] = useState<Look | null>(null);
  const [told, setTold] = useState("The lens is looking …");
  const { model, ids, at } = token.source ?? { model: "", ids: [], at: 0 };
  const upToHere = ids.slice(0, at + 1);

  useEffect(() => {
    box.current?.showModal();
    look(model, upToHere, stop.current.signal).then(
      (one) => {
        setFound(one);
        setTold("");
      },
      (fault: unknown) => setTold(messageOf(fault)),
    );
    return () => stop.current.abort();
  }, []);

  const save = async () => {
    setTold("Drawing all operations; this takes some seconds …");
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await page(model, upToHere, stop.current.signal));
      link.download = "token.html";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      setTold("token.html is saved; it opens in any browser, without a network.");
    } catch (fault) {
      setTold(messageOf(fault));
    }
  };

  return (
    <dialog class="why" ref={box} aria-labelledby="why" onClose={onClose} onClick={(event) => event.target === box.current && box.current?.close()}>
      <div class="inside">
        <header>
          <h2 id="why">
            Why <span class="name">{named(token.text)}</span>?
          </h2>
          <button type="button" onClick={() => box.current?.close()}>
            Close
          </button>
        </header>
        {found && <Story found={found} onSave={() => void save()} />}
        <p class="quiet" role="status">
          {clean(told)}
        </p>
      </div>
    </dialog>
  );
}

function Story({ found, onSave }: { found: Look; onSave: () => void }) {
  const [chosen, setChosen] = useState(found.depths.length - 1);
  const depth = found.depths[chosen];
  if (!depth) return null;
  return (
    <>
      <p>
        {clean(found.model)} gave it <b>{percent(found.logprob)}</b>: a loss of {(-found.logprob).toFixed(3)} nats. The lens walked back from
        that loss through {found.operations} operations.
      </p>
      <h3 id="places">Where in the text</h3>
      <p class="quiet">
        How far the loss would move with each place, by the gradient at <b>{clean(depth.module)}</b>: the stronger the shade, the more.
      </p>
      <Places tokens={found.tokens} depth={depth} />
      <h3>At which depth</h3>
      <Depths depths={found.depths} chosen={chosen} onChoose={setChosen} />
      <p class="quiet">
        The gradient by all weights is ‖{short(found.gradient)}‖: a step of gradient descent of a small size ε on this token alone raises the
        logarithm of its probability by {short(found.gradient ** 2)} ε.
      </p>
      <p>
        <button type="button" onClick={onSave}>
          Save the whole graph
        </button>
      </p>
    </>
  );
}

/** The text up to the token, each place shaded by its gradient; the token itself at the end. */
function Places({ tokens, depth }: { tokens: Token[]; depth: Depth }) {
  const texts = shownTexts(tokens);
  const most = Math.max(...depth.places, 1e-30);
  return (
    <p class="places" aria-describedby="places">
      {tokens.map((token, place) => {
        const here = depth.places[place];
        // By the square root: the place before the token nearly always has most, and would leave the others white.
        const shade = here === undefined ? "asked-for" : `g${Math.round(9 * Math.sqrt(here / most))}`;
        const told = here === undefined ? "this token" : `‖${short(here)}‖`;
        return (
          <span key={place} class={`${shade} ${token.kind}`} title={`${named(token.text)} ${told}`}>
            {token.kind === "control" ? clean(token.text) : clean(texts[place] ?? "")}
          </span>
        );
      })}
    </p>
  );
}

function Depths({ depths, chosen, onChoose }: { depths: Depth[]; chosen: number; onChoose: (place: number) => void }) {
  const [arrives, receives] = [Math.max(...depths.map((one) => one.gradient)), Math.max(...depths.map((one) => one.weights))];
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">from the loss back</th>
          <th scope="col">gradient that arrives</th>
          <th scope="col">its weights receive</th>
        </tr>
      </thead>
      <tbody>
        {depths.map((one, place) => (
          <tr key={one.module} class={place === chosen ? "chosen" : ""}>
            <th scope="row">
              <button type="button" class="link" aria-pressed={place === chosen} onClick={() => onChoose(place)}>
                {clean(one.module)}
              </button>
            </th>
            <Bar value={one.gradient} most={arrives} />
            {one.nWeights ? <Bar value={one.weights} most={receives} /> : <td class="quiet">no weights</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Bar({ value, most }: { value: number; most: number }) {
  return (
    <td>
      <meter min={0} max={Math.max(most, 1e-30)} value={value} aria-hidden="true" /> <span class="share">{short(value)}</span>
    </td>
  );
}

function short(value: number): string {
  return value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 100_000) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}
