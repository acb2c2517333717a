// What commands print: one JSON value or text for people on stdout, messages on stderr.
//
// Ids, types and state keys come from strangers: text for people shows their control characters escaped, so
// that an event cannot move the cursor of who looks at it. Colours only where a terminal shows them.

import pc from 'picocolors';

/** Colours for stdout; all of them do nothing where stdout is no terminal. */
export const colors = pc.createColors(process.stdout.isTTY && pc.isColorSupported);

/** Colours for stderr. */
export const messageColors = pc.createColors(process.stderr.isTTY && pc.isColorSupported);

/** What a command answers with. */
export interface OutputOptions {
  /** One JSON value instead of text for people. */
  readonly json: boolean;
}

/** Prints the answer: `value` as JSON, or what `text` says for people. */
export async function answer(options: OutputOptions, value: unknown, text: () => string): Promise<void> {
  if (options.json) return printJson(value);
  const said = text();
  if (said !== '') await writeOut(`${said}\n`);
}

/** One JSON value on stdout: on one line, or indented where a terminal shows it. */
export function printJson(value: unknown): Promise<void> {
  return writeOut(`${JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined)}\n`);
}

/** Writes to stdout no faster than whoever reads it. */
export async function writeOut(chunk: string | Uint8Array): Promise<void> {
  if (process.stdout.write(chunk)) return;
  await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
}

/** A message for people, on stderr. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** C0 and C1 controls, line separators, and marks that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Text of a stranger, fit for a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
}

/** Rows under bold titles, columns as wide as they must be. Empty cells are shown as `-`. */
export function table(columns: readonly Column[], rows: ReadonlyArray<readonly (string | number)[]>): string {
  const cells = rows.map((row) => row.map((cell) => cellText(cell)));
  const widths = columns.map(({ title }, i) =>
    cells.reduce((widest, row) => Math.max(widest, (row[i] ?? '').length), title.length),
  );
  const line = (row: readonly string[]): string =>
    columns
      .map(({ isNumber }, i) => {
        const width = widths[i] ?? 0;
        return isNumber === true ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [colors.bold(line(columns.map(({ title }) => title))), ...cells.map(line)].join('\n');
}

function cellText(cell: string | number): string {
  if (typeof cell === 'number') return String(cell);
  return cell === '' ? '-' : printable(cell);
}

/** Named values, one a line, the names in a column of their own. */
export function fields(
  rows: ReadonlyArray<readonly [name: string, value: string | number | boolean]>,
): string {
  const width = rows.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return rows
    .map(([name, value]) => `${colors.dim(name.padEnd(width))}  ${printable(String(value))}`)
    .join('\n');
}

/** `3 events`, `1 event`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** A size for people. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return counted(Math.round(bytes), 'byte');
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size.toFixed(1)} ${units[unit] ?? ''}`;
}

/** Milliseconds since 1970 as a date, where they are one. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
