// Numbers as people read them.

export { clean } from "../../src/text";

const whole = new Intl.NumberFormat("en");

/** 1,234; from a hundred thousand on 123k. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) < 1e5 ? whole.format(Math.round(value)) : compact(value);
}

/** Three significant digits with the field's suffix. */
export function compact(value: number): string {
  for (const [size, suffix] of [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]] as const)
    if (Math.abs(value) >= size * 0.9995) return `${+(value / size).toPrecision(3)}${suffix}`;
  if (value && Math.abs(value) < 1e-2) return value.toExponential(1).replace("e-", "e−").replace(".0e", "e");
  return `${+value.toPrecision(4)}`;
}

export function figure(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

/** 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.round(Math.max(0, seconds));
  for (const [size, name, part, small] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]] as const)
    if (s >= size) {
      const rest = Math.floor((s % size) / part);
      return `${Math.floor(s / size)} ${name}${rest ? ` ${rest} ${small}` : ""}`;
    }
  return `${s} s`;
}

/** 0:40, 12:05, 3:20 h. */
export function clock(seconds: number): string {
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))} h` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  for (const [size, suffix] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const)
    if (n >= size) return `${(n / size).toFixed(1)} ${suffix}`;
  return `${n} B`;
}

/** A setting's value as it stands in the file. */
export function setting(value: unknown): string {
  return value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
}
