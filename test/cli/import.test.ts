// Imports: good rooms in any order and in pieces, bad lines of every kind, stores that cannot be used.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GeneratedRoom, generateRoom } from '../../tools/generate/generate-room.js';
import { Store } from '../../src/store/store.js';
import { loadRoom } from '../fixtures.js';
import { fixture, jsonOf, makeWorkplace, type Ran, type Workplace } from './run.js';

interface Problem {
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly reason: string;
  readonly event_id: string | null;
}

interface Report {
  readonly accepted: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly soft_failed: number;
  readonly dropped: number;
  readonly waiting: number;
  readonly problems?: readonly Problem[];
}

const NOTHING: Report = { accepted: 0, duplicate: 0, rejected: 0, soft_failed: 0, dropped: 0, waiting: 0 };
const SMALL = [fixture('small-v11', 'events.jsonl'), '--keys', fixture('small-v11', 'keys.json')];

const test = suite('cli/import');
let place: Workplace;
test.before.each(() => {
  place = makeWorkplace();
});
test.after.each(() => place.remove());

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');
const rootsOf = (ran: Ran): string[] => jsonOf<Array<{ root: string }>>(ran).map(({ root }) => root);

/** A generated room's lines, and its keys in the workplace. */
function generated(): { readonly room: GeneratedRoom; readonly lines: string[] } {
  const room = generateRoom({ members: 6, servers: 2, messages: 10, seed: 'cli' });
  writeFileSync(place.file('keys.json'), JSON.stringify(room.publicKeys));
  return { room, lines: [...room.events()].map(({ line }) => line) };
}

/** The line with something of its event changed. */
function changed(line: string, change: Record<string, unknown>): string {
  return JSON.stringify({ ...(JSON.parse(line) as object), ...change });
}

test('a second import finds duplicates only, and an import of an export gives the same roots', () => {
  assert.is(place.run(['import', ...SMALL]).code, 0);
  const again = place.run(['import', ...SMALL, '--json']);
  assert.is(again.code, 0);
  assert.equal(jsonOf(again), { ...NOTHING, duplicate: 68 });
  const { room_id: roomId } = loadRoom('small-v11').expected;
  assert.is(place.run(['export', roomId, '--out', 'copy.jsonl']).code, 0);
  const copy = place.run(['import', 'copy.jsonl', '--no-verify', '--data', 'copy', '--json']);
  assert.equal(jsonOf(copy), { ...NOTHING, accepted: 68 });
  assert.equal(
    rootsOf(place.run(['rooms', '--json', '--data', 'copy'])),
    rootsOf(place.run(['rooms', '--json'])),
  );
});

test('the second half first: its events wait, the first half closes the gap, and the root is the same', () => {
  const { room_id: roomId } = loadRoom('small-v11').expected;
  const lines = linesOf(fixture('small-v11', 'events.jsonl'));
  writeFileSync(place.file('first.jsonl'), lines.slice(0, 34).join('\n'));
  writeFileSync(place.file('second.jsonl'), lines.slice(34).join('\n'));
  const keys = ['--keys', fixture('small-v11', 'keys.json')];

  const second = place.run(['import', 'second.jsonl', ...keys, '--room-version', '11', '--json']);
  assert.is(second.code, 0, second.stderr);
  const { problems, ...counts } = jsonOf<Report>(second);
  assert.equal(counts, { ...NOTHING, waiting: 34 });
  assert.is(problems?.length, 20, 'the first twenty are listed');
  assert.ok(
    problems?.every(
      ({ code, file, line }, i) => code === 'WAITING' && file === 'second.jsonl' && line === i + 1,
    ),
  );

  const first = place.run(['import', 'first.jsonl', ...keys, '--json']);
  assert.is(first.code, 0);
  assert.equal(jsonOf(first), { ...NOTHING, accepted: 68 });
  assert.is(jsonOf<{ horizon: number }>(place.run(['room', roomId, '--json'])).horizon, 0);

  place.run(['import', ...SMALL, '--data', 'whole']);
  assert.equal(
    rootsOf(place.run(['rooms', '--json'])),
    rootsOf(place.run(['rooms', '--json', '--data', 'whole'])),
  );
});

test('events may stand before their create event, in any order, over several files', () => {
  const { lines } = generated();
  const create = lines[0] as string;
  writeFileSync(place.file('late.jsonl'), `${lines.slice(1).reverse().join('\n')}\n`);
  writeFileSync(place.file('create.jsonl'), `${create}\n`);
  const ran = place.run(['import', 'late.jsonl', 'create.jsonl', '--keys', 'keys.json', '--json']);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal(jsonOf(ran), { ...NOTHING, accepted: lines.length });
});

test('stdin is read as a file is, its create event first', () => {
  const { lines } = generated();
  const ran = place.run(['import', '-', '--keys', 'keys.json', '--json'], lines.join('\r\n'));
  assert.is(ran.code, 0, ran.stderr);
  assert.equal(jsonOf(ran), { ...NOTHING, accepted: lines.length });
});

test('events of a room whose version nobody says are dropped', () => {
  const { lines } = generated();
  const ran = place.run(['import', '-', '--keys', 'keys.json', '--json'], lines.slice(1).join('\n'));
  assert.is(ran.code, 1);
  const { problems, ...counts } = jsonOf<Report>(ran);
  assert.equal(counts, { ...NOTHING, dropped: lines.length - 1 });
  assert.is(problems?.[0]?.code, 'ROOM_UNKNOWN');
  assert.is(problems?.[0]?.file, 'stdin');
});

test('every bad line is named with file, line and code; the good ones are taken', () => {
  const { lines } = generated();
  const at = lines.findIndex((line) => line.includes('"m.room.message"'));
  const message = lines[at] as string;
  const { signatures, content } = JSON.parse(message) as {
    signatures: Record<string, object>;
    content: object;
  };
  const [server = '', keys = {}] = Object.entries(signatures)[0] ?? [];
  const forged = { [server]: Object.fromEntries(Object.keys(keys).map((keyId) => [keyId, 'A'.repeat(86)])) };
  const create = lines[0] as string;

  // A changed content: the event is taken in its redacted form, under the same id.
  const good = lines.with(at, changed(message, { content: { ...content, body: 'forged' } }));
  const bad: ReadonlyArray<readonly [line: string, code: string]> = [
    ['{"type": "m.room.message", ', 'EVENT_BAD_JSON'],
    ['[1, 2]', 'EVENT_NOT_OBJECT'],
    ['\u0000', 'EVENT_BAD_JSON'],
    [changed(message, { depth: '7' }), 'EVENT_BAD_DEPTH'],
    [changed(message, { prev_events: 'none' }), 'EVENT_BAD_PREV_EVENTS'],
    [changed(message, { sender: 7 }), 'EVENT_BAD_SENDER'],
    [changed(message, { content: { ...content, n: 1.5 } }), 'EVENT_NOT_CANONICAL'],
    [changed(message, { content: { body: 'x'.repeat(70_000) } }), 'EVENT_TOO_LARGE'],
    [changed(message, { content: { body: 'x'.repeat(2_000_000) } }), 'EVENT_TOO_LARGE'],
    [changed(message, { signatures: forged }), 'SIGNATURE_INVALID'],
    [changed(create, { content: { room_version: '99' } }), 'ROOM_VERSION_UNKNOWN'],
    [changed(message, { room_id: '!elsewhere:a.example' }), 'ROOM_UNKNOWN'],
    ['{"type":"m.room.message","content":{', 'EVENT_BAD_JSON'],
  ];
  // The last bad line stands last, without an end: the file is cut off.
  const file = [...good, '', ...bad.map(([line]) => line)].join('\r\n');
  writeFileSync(place.file('room.jsonl'), file);
  const ran = place.run(['import', 'room.jsonl', '--keys', 'keys.json', '--json']);
  assert.is(ran.code, 1);
  const { problems, ...counts } = jsonOf<Report>(ran);
  assert.equal(counts, { ...NOTHING, accepted: good.length, dropped: bad.length });
  const firstBad = good.length + 2;
  assert.equal(
    problems?.map(({ file, line, code }) => [file, line, code]),
    bad.map(([, code], i) => ['room.jsonl', firstBad + i, code]),
  );
  assert.match(problems?.at(-1)?.reason ?? '', 'cut off');
  assert.match(problems?.at(9)?.event_id ?? '', /^\$/, 'a refused signature names the event');

  const human = place.run(['import', 'room.jsonl', '--keys', 'keys.json']);
  assert.match(human.stdout, `0 accepted, ${good.length} duplicate`);
  assert.match(human.stdout, /EVENT_BAD_JSON: 3 lines, the first at room\.jsonl:\d+/);

  const log = jsonOf<Array<{ room_id: string }>>(place.run(['rooms', '--json']));
  assert.is(log.length, 1);
  const stored = linesOfExport(place.run(['export', log[0]?.room_id ?? '']));
  assert.ok(
    stored.some((line) => line.includes('"forged"')),
    'the bytes stay as received',
  );
});

const linesOfExport = ({ stdout }: Ran): string[] => stdout.trimEnd().split('\n');

test('an event whose content hash does not match is taken in its redacted form', () => {
  const { lines } = generated();
  const at = lines.findIndex((line) => line.includes('"m.room.message"'));
  const message = lines[at] as string;
  const { content } = JSON.parse(message) as { content: object };
  writeFileSync(place.file('good.jsonl'), lines.join('\n'));
  assert.is(place.run(['import', 'good.jsonl', '--keys', 'keys.json']).code, 0);
  const [room] = jsonOf<Array<{ room_id: string }>>(place.run(['rooms', '--json']));
  const forged = lines.with(at, changed(message, { content: { ...content, body: 'forged' } }));
  const other = ['--data', 'other'];
  const ran = place.run(['import', '-', '--keys', 'keys.json', '--json', ...other], forged.join('\n'));
  assert.equal(jsonOf(ran), { ...NOTHING, accepted: lines.length });
  const ids = linesOfExport(place.run(['export', room?.room_id ?? '', ...other]));
  assert.is(ids.length, lines.length);
  assert.equal(rootsOf(place.run(['rooms', '--json'])), rootsOf(place.run(['rooms', '--json', ...other])));
});

test('rejected and soft-failed events are counted, named, stored and exported', () => {
  const { expected } = loadRoom('rejects-v11');
  const ran = place.run([
    'import',
    fixture('rejects-v11', 'events.jsonl'),
    '--keys',
    fixture('rejects-v11', 'keys.json'),
    '--json',
  ]);
  assert.is(ran.code, 0);
  const { problems, ...counts } = jsonOf<Report>(ran);
  const rejected = Object.keys(expected.rejected_a);
  assert.is(counts.rejected, rejected.length);
  assert.is(counts.dropped + counts.waiting, 0);
  const named = problems
    ?.filter(({ code }) => code !== 'AUTH_BY_CURRENT_STATE')
    .map(({ event_id }) => event_id);
  assert.equal([...(named ?? [])].sort(), rejected.sort());
  const event = jsonOf<Record<string, unknown>>(place.run(['event', rejected[0] ?? '', '--json']));
  assert.is(event['verdict'], 'rejected');
  assert.not.equal(event['reason'], '');
  assert.is(linesOfExport(place.run(['export', expected.room_id])).length, expected.event_ids.length);
});

test('no text of a stranger reaches the terminal with its control characters', () => {
  const { lines } = generated();
  const message = lines.find((line) => line.includes('"m.room.message"')) as string;
  const evil = changed(message, {
    room_id: '!\u001b[2Jgone:a.example',
    type: 'm.room.create',
    content: { room_version: '\u001b[31m' },
  });
  const ran = place.run(['import', '-', '--keys', 'keys.json'], evil);
  assert.is(ran.code, 1);
  assert.not.ok(ran.stdout.includes('\u001b'));
});

test('a store that is held by another process is said to be, with exit code 3', async () => {
  const store = await Store.open({ kind: 'folder', path: place.data, create: true });
  try {
    for (const args of [['rooms'], ['import', ...SMALL], ['stats', '--json']]) {
      const ran = place.run(args);
      assert.is(ran.code, 3);
      assert.is(ran.stdout, '');
      assert.match(ran.stderr, /^stateroom: STORE_LOCKED: another process holds [^\n]+\n$/);
    }
  } finally {
    await store.close();
  }
});

test('a folder of another schema, of somebody else, or none at all is said to be, with exit code 3', async () => {
  const missing = place.run(['rooms']);
  assert.is(missing.code, 3);
  assert.match(missing.stderr, /^stateroom: STORE_MISSING: [^\n]+\n$/);
  assert.not.ok(existsSync(place.data), 'a question makes no store');

  const store = await Store.open({ kind: 'folder', path: place.data, create: true });
  await store.writeMeta('schema', 99);
  await store.close();
  const schema = place.run(['rooms']);
  assert.is(schema.code, 3);
  assert.match(schema.stderr, /^stateroom: STORE_SCHEMA_UNKNOWN: [^\n]*schema 99[^\n]+\n$/);

  mkdirSync(place.file('taken'));
  writeFileSync(place.file('taken/letter.txt'), 'dear reader');
  const foreign = place.run(['import', ...SMALL, '--data', 'taken']);
  assert.is(foreign.code, 3);
  assert.match(foreign.stderr, 'STORE_NOT_OURS');
});

test('SIGINT stops an import cleanly: what it counts is what is stored', async () => {
  const lines = linesOf(fixture('small-v11', 'events.jsonl'));
  const child = place.start(['import', '-', '--no-verify', '--json']);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${lines.slice(0, 30).join('\n')}\n`);
  // The store is made after the signal's handler was set; stdin stays open, so nothing but the signal ends it.
  while (!existsSync(`${place.data}/CURRENT`)) await delay(5);
  child.kill('SIGINT');
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.is(code, 3);
  assert.match(stderr, 'CLI_INTERRUPTED');
  const { accepted } = JSON.parse(stdout) as Report;
  assert.is(jsonOf<{ events: number }>(place.run(['stats', '--json'])).events, accepted);
});

test.run();
