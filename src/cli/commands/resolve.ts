// `stateroom resolve`: state resolution of events in files, or of a stored merge by another algorithm.

import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type JsonValue, parseJson } from '../../event/json.js';
import { rulesOf } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { type ResolvedEvents, resolveEvents } from '../../reader/explain/resolve-events.js';
import { type Algorithm, type WhatIf, whatIf } from '../../reader/explain/what-if.js';
import { examples, globalsOf, withReader } from '../context.js';
import { FileError, fileFault, UsageError } from '../errors.js';
import { answer, counted, note, printable, table } from '../output.js';

interface ResolveOptions {
  readonly roomVersion?: string;
  readonly events?: string;
  readonly state: readonly string[];
  readonly trustIds?: true;
  readonly try?: Algorithm;
}

const ALGORITHMS: readonly Algorithm[] = ['v1', 'v2', 'v2.1'];

export function addResolve(program: Command): void {
  program
    .command('resolve')
    .description(
      'Resolves states of a room that are given in files: the states named, or those at all forward extremities of ' +
        'the events. Needs no store. Or asks "what if": a stored merge, resolved by another algorithm.',
    )
    .usage(
      '--room-version <version> --events <file> [--state <file>]...\n       stateroom resolve <room|event> --try <algorithm>',
    )
    .argument('[target]', 'room id (its forward extremities) or event id (its prev_events), for --try')
    .option('--room-version <version>', 'room version of the events')
    .option(
      '--events <file>',
      'events in federation format, in any order: a JSON array, or one a line (- is stdin)',
    )
    .option('--state <file>', 'a state: a JSON array of event ids; once for each state', collect, [])
    .option('--trust-ids', 'take event_id as given; look at no hashes and count events that the rules refuse')
    .addOption(
      new Option('--try <algorithm>', 'resolve by this algorithm, whatever the room version').choices(
        ALGORITHMS,
      ),
    )
    .addHelpText(
      'after',
      examples(
        ['resolve --room-version 11 --events room.jsonl', 'the state at the forward extremities'],
        ['resolve --room-version 10 --events e.json --state a.json --state b.json --trust-ids', 'two states'],
        ["resolve '!room:example.org' --try v2.1", 'what would differ now'],
      ),
    )
    .action(async (target: string | undefined, options: ResolveOptions, command: Command) => {
      if (target === undefined) await resolveFiles(options, command);
      else await resolveStored(target, options, command);
    });
}

function collect(file: string, files: readonly string[]): string[] {
  return [...files, file];
}

async function resolveStored(target: string, options: ResolveOptions, command: Command): Promise<void> {
  if (options.events !== undefined || options.state.length > 0 || options.roomVersion !== undefined) {
    throw new UsageError('name a room or an event of the store, or give files: not both');
  }
  if (!/^[$!]/.test(target)) throw new UsageError(`${target} is no event id and no room id`);
  const globals = globalsOf(command);
  await withReader(globals, async (reader) => {
    const result = whatIf(reader, target, options.try);
    await answer(globals, result, () => whatIfText(result));
  });
}

async function resolveFiles(options: ResolveOptions, command: Command): Promise<void> {
  const { roomVersion, events } = options;
  if (roomVersion === undefined) throw new UsageError('--room-version is missing');
  if (events === undefined) throw new UsageError('--events is missing: which events?');
  const rules = rulesOf(roomVersion);
  if (rules === undefined)
    throw new UsageError(`room version ${JSON.stringify(roomVersion)} is not known: it is 1 to 12`);
  const files = [events, ...options.state];
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('only one file can be stdin');

  const stateSets: JsonValue[] = [];
  const given = await eventsIn(events);
  for (const file of options.state) stateSets.push(jsonOf(await bytesOf(file), file));
  const result = resolveEvents({
    rules: options.try === undefined ? rules : { ...rules, stateResolution: options.try },
    events: given,
    stateSets,
    trustIds: options.trustIds === true,
  });
  sayRemarks(result, options.trustIds === true);
  const { root, trace } = result;
  const state = result.state.map(({ type, stateKey, eventId }) => ({
    type,
    state_key: stateKey,
    event_id: eventId,
  }));
  await answer(globalsOf(command), { state, root, trace }, () => stateText(result));
}

/** Events of a file: a JSON array, or JSON lines. */
async function eventsIn(file: string): Promise<readonly JsonValue[]> {
  const bytes = await bytesOf(file);
  const text = bytes
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (text.startsWith('[')) {
    const events = jsonOf(Buffer.from(text), file);
    return Array.isArray(events) ? (events as readonly JsonValue[]) : [];
  }
  return text
    .split('\n')
    .map((line, i) => ({ line: line.trim(), place: `${file}:${i + 1}` }))
    .filter(({ line }) => line !== '')
    .map(({ line, place }) => jsonOf(Buffer.from(line), place));
}

function jsonOf(bytes: Uint8Array, place: string): JsonValue {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw new FileError(`${place}: ${error.message}`, { file: place }, error);
  }
}

async function bytesOf(file: string): Promise<Buffer> {
  if (file === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }
  try {
    return await readFile(file);
  } catch (error) {
    throw fileFault(file, error);
  }
}

/** What the reader of a result should know, on stderr: it is no part of the result. */
function sayRemarks({ refused, redacted }: ResolvedEvents, trustIds: boolean): void {
  for (const id of redacted) note(`${printable(id)}: its content hash is wrong, so it counts as redacted`);
  for (const { eventId, check } of refused) {
    const what = trustIds ? 'the rules refuse it, and it counts all the same' : 'rejected';
    note(
      printable(`${eventId}: ${what} (${check.check}, rule ${check.verdict.rule}: ${check.verdict.reason})`),
    );
  }
}

function stateText({ state, root, trace }: ResolvedEvents): string {
  const rows = state.map(({ type, stateKey, eventId }) => [type, stateKey, eventId]);
  const conflicts = `${counted(trace.inputs.length, 'state')} met; ${counted(trace.keys.length, 'key')} in conflict; algorithm ${trace.algorithm}`;
  return `${table([{ title: 'TYPE' }, { title: 'STATE KEY' }, { title: 'EVENT' }], rows)}\n\nroot ${root}\n${conflicts}`;
}

function whatIfText({ algorithm, tried, heads, differs }: WhatIf): string {
  const head = `${counted(heads.length, 'branch', 'branches')} resolved by ${tried.algorithm} instead of ${algorithm}:`;
  if (differs.length === 0) return `${head} nothing would differ.`;
  const rows = differs.map((change) => [
    change.type,
    change.state_key,
    change.stored ?? '',
    change.tried ?? '',
  ]);
  const columns = [{ title: 'TYPE' }, { title: 'STATE KEY' }, { title: 'STORED' }, { title: 'TRIED' }];
  return `${head}\n${table(columns, rows)}`;
}
