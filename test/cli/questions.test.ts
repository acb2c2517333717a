// The commands that ask, on the room small-v11, against what Synapse says of it.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadRoom } from '../fixtures.js';
import { fixture, jsonLinesOf, jsonOf, makeWorkplace } from './run.js';

interface Entry {
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string;
}

interface StateLine {
  readonly event_id: string;
  readonly root: string;
  readonly state: readonly Entry[];
}

const test = suite('cli/questions');
const place = makeWorkplace();
const { expected } = loadRoom('small-v11');
const { room_id: roomId, event_ids: ids, current_state_a: current } = expected;
const create = ids[0] as string;
const middle = ids[40] as string;

test.before(() => {
  const ran = place.run([
    'import',
    fixture('small-v11', 'events.jsonl'),
    '--keys',
    fixture('small-v11', 'keys.json'),
    '--json',
  ]);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal(jsonOf(ran), {
    accepted: 68,
    soft_failed: 0,
    rejected: 0,
    duplicate: 0,
    dropped: 0,
    waiting: 0,
  });
});
test.after(() => place.remove());

const triples = (entries: readonly Entry[]) =>
  entries.map((entry) => [entry.type, entry.state_key, entry.event_id]);

test('the state before every event is the one that Synapse says', () => {
  const wanted = expected.state_at.map(({ event_id }) => event_id);
  const ran = place.run(['state', '--before', '--events', '-'], `${wanted.join('\r\n')}\n\n`);
  assert.is(ran.code, 0, ran.stderr);
  const lines = jsonLinesOf<StateLine>(ran);
  assert.equal(
    lines.map((line) => line.event_id),
    wanted,
  );
  for (const [i, { event_id, size, sha256 }] of expected.state_at.entries()) {
    const state = triples(lines[i]?.state ?? []);
    assert.is(state.length, size, `entries before ${event_id}`);
    assert.is(
      createHash('sha256').update(JSON.stringify(state)).digest('hex'),
      sha256,
      `state before ${event_id}`,
    );
  }
});

test('rooms and room describe the room', () => {
  const [summary, ...others] = jsonOf<Array<Record<string, unknown>>>(place.run(['rooms', '--json']));
  assert.is(others.length, 0);
  assert.is(summary?.['room_id'], roomId);
  assert.is(summary?.['room_version'], '11');
  assert.is(summary?.['events'], 68);
  assert.is(summary?.['state_entries'], current.length);
  assert.equal(summary?.['extremities'], expected.forward_extremities_a);
  assert.match(String(summary?.['root']), /^[0-9a-f]{64}$/);
  assert.is(summary?.['partial'], false);

  const room = jsonOf<Record<string, unknown>>(place.run(['room', roomId, '--json']));
  for (const [name, value] of Object.entries(summary ?? {})) assert.equal(room[name], value, name);
  assert.equal(room['extremities'], expected.forward_extremities_a);
  assert.equal(room['members'], { join: 6, invite: 0, leave: 1, ban: 0, knock: 0 });
  assert.equal(room['servers'], { count: 1, top: [{ server: 'alpha.test:7101', joined: 6 }] });
  assert.is(room['horizon'], 0);
  assert.is(room['rejected'], 0);
  assert.is(room['soft_failed'], 0);
  assert.is(room['state_resets'], 0);
  assert.ok(Number(room['depth']) > 50);

  const table = place.run(['rooms']);
  assert.match(table.stdout, roomId);
  assert.match(table.stdout, /^ROOM +VERSION/);
  assert.match(place.run(['room', roomId]).stdout, /6 join, 1 leave/);
});

test('state gives the whole state, one type, or one key', () => {
  const sorted = [...current].sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1));
  assert.equal(triples(jsonOf<Entry[]>(place.run(['state', roomId, '--json']))), sorted);
  const members = sorted.filter(([type]) => type === 'm.room.member');
  assert.equal(triples(jsonOf<Entry[]>(place.run(['--json', 'state', roomId, 'm.room.member']))), members);
  const one = place.run(['state', roomId, 'm.room.topic', '', '--json']);
  assert.is(one.code, 0);
  assert.equal(
    triples(jsonOf<Entry[]>(one)),
    sorted.filter(([type]) => type === 'm.room.topic'),
  );
  assert.match(place.run(['state', roomId]).stdout, /^TYPE +STATE KEY +EVENT\n/);
});

test('a key that is not set gives an empty answer and exit code 1; a type that has none gives exit code 0', () => {
  const key = place.run(['state', roomId, 'm.room.member', '@nobody:alpha.test', '--json']);
  assert.is(key.code, 1);
  assert.equal(jsonOf(key), []);
  const type = place.run(['state', roomId, 'toString', '--json']);
  assert.is(type.code, 0);
  assert.equal(jsonOf(type), []);
});

test('--before goes with an event; a room has only now', () => {
  const ran = place.run(['state', roomId, '--before']);
  assert.is(ran.code, 2);
  assert.match(ran.stderr, 'CLI_USAGE');
});

test('before the create event there is no state, after it there is the create event', () => {
  assert.equal(jsonOf(place.run(['state', create, '--before', '--json'])), []);
  assert.equal(triples(jsonOf<Entry[]>(place.run(['state', create, '--json']))), [
    ['m.room.create', '', create],
  ]);
});

test('with --events unknown events are answered in their place, and the exit code is 1', () => {
  const ran = place.run(['state', '--events', '-', 'm.room.create'], `${middle}\n$unknown\n${create}`);
  assert.is(ran.code, 1);
  const lines = jsonLinesOf<Record<string, unknown>>(ran);
  assert.equal(
    lines.map((line) => [line['event_id'], 'state' in line, 'error' in line]),
    [
      [middle, true, false],
      ['$unknown', false, true],
      [create, true, false],
    ],
  );
  assert.equal(lines[0]?.['state'], [{ type: 'm.room.create', state_key: '', event_id: create }]);
  assert.match(ran.stderr, 'READER_EVENT_UNKNOWN');
});

test('members and count agree with the state', () => {
  const members = jsonOf<Array<{ user_id: string; membership: string; event_id: string }>>(
    place.run(['members', roomId, '--json']),
  );
  const expectedMembers = current
    .filter(([type]) => type === 'm.room.member')
    .map(([, key, id]) => [key, id] as const);
  assert.equal(
    members.map(({ user_id, event_id }) => [user_id, event_id]),
    expectedMembers.sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const left = jsonOf<unknown[]>(place.run(['members', roomId, '--membership', 'leave', '--json']));
  assert.is(left.length, members.filter(({ membership }) => membership === 'leave').length);
  assert.is(jsonOf(place.run(['count', roomId, '--json'])), current.length);
  assert.is(place.run(['count', roomId, 'm.room.member']).stdout, `${members.length}\n`);
});

test('diff names what changed, by events, rooms and roots alike', () => {
  const changes = jsonOf<unknown[]>(place.run(['diff', create, roomId, '--json']));
  assert.is(changes.length, current.length - 1);
  const topic = current.find(([type]) => type === 'm.room.topic');
  assert.equal(
    changes.filter((change) => (change as Entry).type === 'm.room.topic'),
    [{ type: 'm.room.topic', state_key: '', before: null, after: topic?.[2] }],
  );
  const { root_after: root } = jsonOf<{ root_after: string }>(place.run(['event', create, '--json']));
  assert.equal(jsonOf(place.run(['diff', root, roomId, '--json'])), changes);
  const back = jsonOf<Array<{ before: string; after: string | null }>>(
    place.run(['diff', roomId, create, '--json']),
  );
  assert.ok(back.every(({ after }) => after === null));
  assert.match(place.run(['diff', roomId, roomId]).stdout, 'The states are equal');
});

test('event shows the event as received, and what became of it', () => {
  const line = readFileSync(fixture('small-v11', 'events.jsonl'), 'utf8').split('\n')[40] as string;
  const ran = place.run(['event', middle, '--json']);
  assert.ok(ran.stdout.includes(line), 'the bytes are those received');
  const record = jsonOf<Record<string, unknown>>(ran);
  assert.equal(record['event'], JSON.parse(line));
  assert.is(record['seq'], 41);
  assert.is(record['verdict'], 'accepted');
  assert.is(record['reason'], '');
  assert.match(String(record['root_before']), /^[0-9a-f]{64}$/);
  assert.match(String(record['root_after']), /^[0-9a-f]{64}$/);
  assert.match(place.run(['event', middle]).stdout, /verdict +accepted/);
});

test('log lists every topic in commit order and marks the one in force', () => {
  const log = jsonOf<Array<Record<string, unknown>>>(place.run(['log', roomId, 'm.room.topic', '--json']));
  assert.is(log.length, 4);
  assert.equal(
    log.map((entry) => entry['current']),
    [false, false, false, true],
  );
  assert.ok(log.every((entry, i) => i === 0 || Number(entry['seq']) > Number(log[i - 1]?.['seq'])));
  assert.match(place.run(['log', roomId, 'm.room.topic', '']).stdout, 'talk about small things');
  assert.equal(jsonOf(place.run(['log', roomId, 'no.such.type', '--json'])), []);
});

test('export gives the events byte for byte, to stdout or into a file', () => {
  const original = readFileSync(fixture('small-v11', 'events.jsonl'), 'utf8');
  assert.is(place.run(['export', roomId]).stdout, original);
  const ran = place.run(['export', roomId, '--out', 'out.jsonl', '--json']);
  assert.equal(jsonOf(ran), { room_id: roomId, events: 68, out: 'out.jsonl' });
  assert.is(readFileSync(place.file('out.jsonl'), 'utf8'), original);
  const nowhere = place.run(['export', roomId, '--out', 'no/such/folder.jsonl']);
  assert.is(nowhere.code, 3);
  assert.match(nowhere.stderr, 'CLI_FILE_UNREADABLE');
});

test('a reader of the output that leaves early is no fault', async () => {
  const child = place.start(['export', roomId]);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.destroy();
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.is(code, 0);
  assert.is(stderr, '');
});

test('stats counts what is stored', () => {
  const stats = jsonOf<Record<string, number>>(place.run(['stats', '--json']));
  assert.is(stats['events'], 68);
  assert.is(stats['rooms'], 1);
  assert.is(stats['state_events'], 37);
  for (const name of ['node_records', 'node_bytes', 'node_bytes_per_state_event', 'store_bytes']) {
    assert.ok((stats[name] ?? 0) > 0, name);
  }
  assert.match(place.run(['stats']).stdout, /state events +37/);
});

test('what is not there is answered with one line and exit code 1, and nothing on stdout', () => {
  for (const args of [
    ['event', '$none'],
    ['export', '!none:alpha.test'],
    ['count', '0'.repeat(64)],
  ]) {
    const ran = place.run([...args, '--json']);
    assert.is(ran.code, 1, args.join(' '));
    assert.is(ran.stdout, '');
    assert.match(ran.stderr, /^stateroom: READER_[A-Z]+_UNKNOWN: [^\n]+\n$/);
  }
});

test('a proof of presence or absence is checked without a store', () => {
  const topic = current.find(([type]) => type === 'm.room.topic')?.[2] as string;
  const proof = place.run(['prove', roomId, 'm.room.topic', '', '--json']);
  const claim = jsonOf<Record<string, unknown>>(proof);
  assert.is(claim['event_id'], topic);
  const elsewhere = makeWorkplace();
  try {
    const checked = elsewhere.run(['verify', '-', '--json'], proof.stdout);
    assert.is(checked.code, 0, checked.stderr);
    assert.equal(jsonOf(checked), {
      valid: true,
      root: claim['root'],
      type: 'm.room.topic',
      state_key: '',
      present: true,
      event_id: topic,
    });
    const absence = place.run([
      'prove',
      create,
      '--before',
      'm.room.topic',
      '',
      '--out',
      elsewhere.file('p.json'),
    ]);
    assert.is(absence.code, 0, absence.stderr);
    assert.match(elsewhere.run(['verify', 'p.json']).stdout, /valid[\s\S]+is not set/);
  } finally {
    elsewhere.remove();
  }
});

test('a proof of another root than the trusted one does not count: exit code 1', () => {
  const proof = place.run(['prove', roomId, 'm.room.topic', '', '--json']);
  const ran = place.run(['verify', '-', '--json', '--root', '0'.repeat(64)], proof.stdout);
  assert.is(ran.code, 1);
  assert.is(jsonOf<{ valid: boolean }>(ran).valid, false);
});

test.run();
