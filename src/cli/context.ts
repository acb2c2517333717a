// What every command gets: the options that stand for all of them, and the store opened for reading.

import type { Command } from 'commander';
import { Reader } from '../reader/reader.js';
import type { StateView } from '../reader/state-view.js';
import { Store, type StoreOptions } from '../store/store.js';
import { UsageError } from './errors.js';

const DATA_FOLDER = './stateroom-data';

/** Options that every command takes. */
export interface GlobalOptions {
  /** Data folder. */
  readonly data: string;
  /** One JSON value on stdout. */
  readonly json: boolean;
}

/** The options given before or after a command: `--data`, else $STATEROOM_DATA, else ./stateroom-data. */
export function globalsOf(command: Command): GlobalOptions {
  const { data, json } = command.optsWithGlobals<{ data?: string; json?: boolean }>();
  const fromEnvironment = process.env['STATEROOM_DATA'];
  const fallback = fromEnvironment === undefined || fromEnvironment === '' ? DATA_FOLDER : fromEnvironment;
  return { data: data ?? fallback, json: json === true };
}

/** Opens the store that is there, never makes one, and closes it whatever happens. @throws as `Store.open` */
export async function withStore<T>(
  globals: GlobalOptions,
  work: (store: Store) => Promise<T>,
  options: StoreOptions = {},
): Promise<T> {
  const store = await Store.open({ kind: 'folder', path: globals.data, create: false }, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same with a reader on it: for questions. */
export function withReader<T>(globals: GlobalOptions, ask: (reader: Reader) => Promise<T>): Promise<T> {
  return withStore(globals, (store) => ask(new Reader(store)));
}

/**
 * The state that a command is asked about: after an event or before it, of a room now, of a root.
 * @throws CLI_USAGE for a room or root with `--before`, and as `Reader.state`
 */
export async function viewOf(
  reader: Reader,
  target: string,
  options: { readonly before?: true },
): Promise<StateView> {
  if (options.before !== true) return reader.state(target);
  if (!target.startsWith('$')) throw new UsageError(`--before goes with an event ($...), not with ${target}`);
  return reader.stateAt(target, 'before');
}

/** Help text of examples: `stateroom ...` and what it does. */
export function examples(...lines: ReadonlyArray<readonly [command: string, what: string]>): string {
  const width = lines.reduce((widest, [command]) => Math.max(widest, command.length), 0);
  const shown = lines.map(([command, what]) => `  $ stateroom ${command.padEnd(width)}   ${what}`.trimEnd());
  return `\nExamples:\n${shown.join('\n')}`;
}

/** What the arguments of most commands may be. */
export const TARGET_HELP = `
An event is named by its id ($...), a room by its id (!...), a state by its root (64 hex digits).
Quote ids for the shell: '$...'. A room stands for its current state.`;
