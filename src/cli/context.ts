// What every command gets: the options that stand for all of them, and the store opened for reading.

import type { Command } from 'commander';
import { StateroomError } from '../lib/errors.js';
import { Reader } from '../reader/reader.js';
import type { StateView } from '../reader/state-view.js';
import { StoreLockedError } from '../store/errors.js';
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

export interface WithStoreOptions extends StoreOptions {
  /** The command changes the store: it wants it for itself. */
  readonly toChange?: boolean;
}

/**
 * Opens the store that is there, never makes one, and closes it whatever happens. While a server holds it, it is
 * read through the server's socket, as of one moment.
 * @throws as `Store.open`; STORE_LOCKED where no server answers, or the command would change the store
 */
export async function withStore<T>(
  globals: GlobalOptions,
  work: (store: Store) => Promise<T>,
  options: WithStoreOptions = {},
): Promise<T> {
  const store = await openStore(globals.data, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function openStore(path: string, { toChange = false, ...options }: WithStoreOptions): Promise<Store> {
  try {
    return await Store.open({ kind: 'folder', path, create: false }, options);
  } catch (error) {
    if (!(error instanceof StoreLockedError) || toChange) throw error;
    const { openRemoteStore } = await import('../server/admin/remote-store.js');
    return openRemoteStore(path, options).catch((fault: unknown) => {
      // Not a server but some other command holds it: that is what there is to say.
      throw fault instanceof StateroomError && fault.code === 'SERVER_NOT_RUNNING' ? error : fault;
    });
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
